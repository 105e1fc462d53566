#!/usr/bin/env bash
# Makes .venv, installs x0tta6bl4 and starts the demo with the API up: a mesh that breaks and heals in front of you.
#
#   scripts/start.sh [ARGS of `x0t demo`]     e.g. --seconds 60, --no-api, --backend vm
#   X0TTA6BL4_NO_START=1 scripts/start.sh     only prepare
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

make_venv ""
if [ -n "${X0TTA6BL4_NO_START:-}" ]; then say "ready: $VENV/bin/x0t demo"; exit 0; fi
exec "$VENV/bin/x0t" demo "$@"
