#!/usr/bin/env bash
# Holds an image against what is promised of it: small, no root, nothing writable, no capability, alive, ends when told.
#
#   scripts/image-check.sh [IMAGE]              default x0tta6bl4
#   CONTAINER=podman scripts/image-check.sh     with podman instead of docker
set -euo pipefail
cd "$(dirname "$0")/.."

engine=${CONTAINER:-docker}
image=${1:-x0tta6bl4}
bytes_max=500000000
say() { echo "image-check: $*"; }
fail() { echo "image-check: $*" >&2; exit 1; }
# What may be taken from a container is taken from all of them here.
confined=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges)
once() { "$engine" run --rm --no-healthcheck --network none "${confined[@]}" "$image" "$@"; }

bytes=$("$engine" image inspect --format '{{.Size}}' "$image")
[ "$bytes" -lt $bytes_max ] || fail "$((bytes / 1000000)) MB, allowed: under $((bytes_max / 1000000)) MB"
say "size: $((bytes / 1000000)) MB"

once x0t --version
once python -c '
import os, sys
from importlib.metadata import distributions
names = {found.name.lower() for found in distributions()}
unwanted = sorted({"torch", "onnxruntime", "pip", "pytest"} & names)
if os.getuid() == 0 or unwanted:
    sys.exit(f"image-check: runs as uid {os.getuid()}, holds what it should not: {unwanted}")
print(f"image-check: uid {os.getuid()}, Python {sys.version.split()[0]}, {len(names)} packages")'
if once touch /opt/x0tta6bl4/written 2>/dev/null; then fail "/opt/x0tta6bl4 can be written"; fi

began=$SECONDS
id=$("$engine" run --detach "${confined[@]}" --publish 127.0.0.1::8000 "$image")
trap '"$engine" rm --force --volumes "$id" >/dev/null' EXIT
address=$("$engine" port "$id" 8000/tcp | head -n 1)
if ! scripts/health-check.sh --wait 60 "http://$address"; then "$engine" logs "$id" >&2; fail "not ready after 60 s"; fi
say "ready after $((SECONDS - began)) s"

# docker runs the declared health check by itself; podman leaves that to systemd, which need not be there.
if [ "$(basename "$engine")" = podman ]; then
  "$engine" healthcheck run "$id" || fail "its HEALTHCHECK fails"
else
  until health=$("$engine" inspect --format '{{.State.Health.Status}}' "$id"); [ "$health" = healthy ]; do
    [ $((SECONDS - began)) -lt 90 ] || fail "its HEALTHCHECK says $health"
    sleep 1
  done
fi

token=$("$engine" exec "$id" cat /var/lib/x0tta6bl4/token)
ask() { curl --silent --noproxy '*' "$@"; }
status() { ask --max-time 5 --output /dev/null --write-out '%{http_code}' "$@" "http://$address/v1/mesh/status"; }
[ "$(status)" = 401 ] || fail "answers without a token"
[ "$(status --header @- <<<"Authorization: Bearer $token")" = 200 ] || fail "does not take its token"
say "health, token and read-only root hold"

# Somebody who listens to the events must not keep it from ending: it would be killed, and with it what it has not stored.
ask --no-buffer --max-time 60 --header @- "http://$address/v1/events" <<<"Authorization: Bearer $token" >/dev/null &
sleep 1
began=$SECONDS
"$engine" stop --time 10 "$id" >/dev/null
code=$("$engine" inspect --format '{{.State.ExitCode}}' "$id")
[ "$code" = 0 ] || fail "exit code $code when it was told to end (137: it had to be killed)"
say "ended $((SECONDS - began)) s after it was told to, with a listener"
