#!/usr/bin/env bash
# Builds and checks the image where no base image can be pulled: the same Dockerfile over a debootstrap root.
#
#   scripts/image-root.sh     as root on Debian or Ubuntu; the packages come from where apt gets this machine's
#
# The base is Debian's minimal system with its own Python, about 150 MB larger than python:*-slim: what it shows of the
# size is an upper bound.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

base=localhost/python:debootstrap
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install_packages() {
  local missing=() pair
  for pair in debootstrap:debootstrap podman:podman runc:runc curl:curl; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} != 0 ] || return 0
  as_root apt-get update -q
  as_root apt-get install -y -q --no-install-recommends "${missing[@]}"
}

make_base() {
  local suite mirror
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016  # apt-get fills these in
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" 'Component: main' | head -n 1)
  [ -n "$mirror" ] || { say "apt knows no mirror of $suite: run apt-get update" >&2; return 1; }
  say "making a root of Debian $suite with its python3"
  PATH=$PATH:/usr/sbin:/sbin debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    "$suite" "$work/root" "$mirror" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
  tar -C "$work/root" -c . | podman import -q - "$base" >/dev/null
  say "base: $(($(podman image inspect --format '{{.Size}}' "$base") / 1000000)) MB"
}

[ "$(id -u)" = 0 ] || { say "must be root: debootstrap makes device files" >&2; exit 1; }
install_packages

# runc takes every layout of cgroups, crun does not. podman's own limits are higher than a confined root may set.
cat >"$work/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
CONF
export CONTAINERS_CONF=$work/containers.conf CONTAINER=podman

if podman image exists "$base"; then say "base: $base is there already (podman rmi $base renews it)"; else make_base; fi
# pip inside must get through where pip outside does: its settings and the machine's certificates are taken along.
mounts=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)
[ ! -f /etc/pip.conf ] || mounts+=(--volume /etc/pip.conf:/etc/pip.conf:ro)
began=$SECONDS
scripts/image.sh --quiet --format docker --isolation chroot --network host "${mounts[@]}" --build-arg "PYTHON_IMAGE=$base"
say "built and checked in $((SECONDS - began)) s"
