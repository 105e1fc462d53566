#!/usr/bin/env bash
# Asks a running controller whether it is alive and whether its loop has finished a pass.
#
#   scripts/health-check.sh [--wait SECONDS] [URL]     default http://127.0.0.1:8000, no waiting
#
# Exit codes: 0 alive and ready, 1 not (yet), 2 wrong arguments.
set -euo pipefail

seconds=0
if [ "${1:-}" = --wait ]; then
  seconds=${2:-}; shift 2 || true
  [[ $seconds =~ ^[0-9]+$ ]] || { echo "health-check.sh: --wait: got '$seconds', allowed: whole seconds" >&2; exit 2; }
fi
url=${1:-http://127.0.0.1:8000}
if [ $# -gt 1 ] || [[ ! $url =~ ^https?://[^/]+$ ]]; then
  echo "health-check.sh: URL: got '$*', allowed: one http://HOST:PORT or https://HOST:PORT" >&2; exit 2
fi

end=$((SECONDS + seconds))
for path in /health /ready; do
  until answer=$(curl --fail --silent --show-error --noproxy '*' --max-time 5 "$url$path" 2>&1); do
    if [ $SECONDS -ge $end ]; then echo "health-check.sh: $path: $answer" >&2; exit 1; fi
    sleep 0.5
  done
  echo "$path: $answer"
done
