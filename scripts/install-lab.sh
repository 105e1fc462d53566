#!/usr/bin/env bash
# Fetches what the lab's `vm` backend needs and builds its guest: a Debian generic kernel (unpacked, never installed)
# and a small initramfs whose root is this machine's root, read-only over 9p under a tmpfs overlay.
#
#   scripts/install-lab.sh            idempotent; says what it did
#   X0T_LAB_KERNEL_DEB=FILE ...       take this linux-image package instead of fetching one
#   X0T_LAB_DIR=DIR ...               put the result there (default ${XDG_CACHE_HOME:-~/.cache}/x0tta6bl4/lab)
set -euo pipefail

dir=${X0T_LAB_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/x0tta6bl4/lab}
export PATH=$PATH:/usr/sbin:/sbin
say() { echo "install-lab: $*"; }
# The modules of the guest, in no order: modprobe resolves what each depends on.
modules="virtio_pci 9pnet_virtio 9p overlay virtio_net veth bridge dummy batman-adv
         sch_netem sch_ingress sch_prio cls_u32 cls_flower cls_matchall cls_bpf act_gact act_mirred"

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    say "must be root to run: $*" >&2; exit 1
  fi
}

install_packages() {
  local missing=() pair
  for pair in qemu-system-x86_64:qemu-system-x86 cpio:cpio depmod:kmod busybox:busybox-static; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  if [ ${#missing[@]} = 0 ]; then say "packages: all there"; return; fi
  if ! command -v apt-get >/dev/null; then
    say "install these by hand (no apt-get here): ${missing[*]}" >&2; exit 1
  fi
  as_root apt-get update -q
  as_root apt-get install -y -q --no-install-recommends "${missing[@]}"
  say "packages: installed ${missing[*]}"
}

fetch_kernel() {
  if compgen -G "$dir/kernel/boot/vmlinuz-*" >/dev/null; then say "kernel: $(basename "$dir"/kernel/boot/vmlinuz-*)"; return; fi
  local deb=${X0T_LAB_KERNEL_DEB:-} name tmp
  tmp=$(mktemp -d); trap 'rm -rf "$tmp"' RETURN
  if [ -z "$deb" ]; then
    name=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')
    if [ -z "$name" ]; then as_root apt-get update -q
      name=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-[0-9]/ {print $2; exit}'); fi
    [ -n "$name" ] || { say "no linux-image-amd64 in the package lists; set X0T_LAB_KERNEL_DEB=FILE" >&2; exit 1; }
    chmod 777 "$tmp"
    (cd "$tmp" && apt-get download -q "$name")
    deb=$(echo "$tmp"/*.deb)
  fi
  rm -rf "$dir/kernel.new"; mkdir -p "$dir/kernel.new"
  dpkg-deb -x "$deb" "$dir/kernel.new"
  # Debian 13 keeps modules under usr/lib
  [ -d "$dir/kernel.new/lib/modules" ] || ln -s usr/lib "$dir/kernel.new/lib"
  depmod -b "$dir/kernel.new" "$(basename "$dir"/kernel.new/lib/modules/*)"
  rm -rf "$dir/kernel"; mv "$dir/kernel.new" "$dir/kernel"
  say "kernel: unpacked $(basename "$dir"/kernel/boot/vmlinuz-*)"
}

write_init() {
  cat >"$1" <<'INIT'
#!/bin/busybox sh
# Mounts the host's root read-only, puts a tmpfs over it and becomes the lab process.
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for m in /lib/mods/*; do $B insmod "$m" || echo "lab: cannot load $m"; done
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host || { echo "lab: no host root"; $B poweroff -f; }
$B mount -t tmpfs tmpfs /rw; $B mkdir /rw/u /rw/w
$B mount -t overlay -o lowerdir=/host,upperdir=/rw/u,workdir=/rw/w overlay /newroot
for d in proc sys dev; do $B mount --move /$d /newroot/$d; done
$B mount -t tmpfs run /newroot/run; $B mkdir -p /newroot/run/netns
for w in $($B cat /newroot/proc/cmdline); do
  case $w in x0t.python=*) python=${w#*=} ;; x0t.path=*) path=${w#*=} ;; x0t.token=*) token=${w#*=} ;; esac
done
$B ip link set lo up
for i in /newroot/sys/class/net/e*; do i=${i##*/}; $B ip link set "$i" up; $B ip addr add 10.0.2.15/24 dev "$i"; done
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONPATH=$path X0T_LAB_TOKEN=$token
echo "lab: guest ready, starting its process"
exec $B chroot /newroot "$python" -u -m x0tta6bl4.lab.guest --listen 0.0.0.0:7000
INIT
  chmod +x "$1"
}

build_initramfs() {
  local kernel=$dir/kernel version work n=0 file stamp
  version=$(basename "$kernel"/lib/modules/*)
  stamp="$version $(echo $modules | sha256sum | cut -c1-12) $(declare -f write_init | sha256sum | cut -c1-12)"
  if [ -s "$dir/initramfs.gz" ] && [ "$(cat "$dir/stamp" 2>/dev/null)" = "$stamp" ]; then say "initramfs: up to date"; return; fi
  work=$(mktemp -d); trap 'rm -rf "$work"' RETURN
  mkdir -p "$work"/{bin,lib/mods,proc,sys,dev,host,rw,newroot}
  cp "$(command -v busybox)" "$work/bin/busybox"
  for m in $modules; do modprobe -n -D -d "$kernel" -S "$version" "$m" 2>/dev/null | awk '/^insmod/ {print $2}'; done |
    awk '!seen[$0]++' >"$work/order"
  while read -r file; do
    n=$((n + 1)); target=$work/lib/mods/$(printf %02d $n)-$(basename "$file")
    case $file in
      *.xz) xz -dc "$file" >"${target%.xz}" ;;
      *.zst) zstd -qdc "$file" >"${target%.zst}" ;;
      *) cp "$file" "$target" ;;
    esac
  done <"$work/order"
  rm "$work/order"
  write_init "$work/init"
  (cd "$work" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$dir/initramfs.gz.new"
  mv "$dir/initramfs.gz.new" "$dir/initramfs.gz"; echo "$stamp" >"$dir/stamp"
  say "initramfs: built with $n modules"
}

mkdir -p "$dir"
install_packages
fetch_kernel
build_initramfs
say "ready in $dir"
