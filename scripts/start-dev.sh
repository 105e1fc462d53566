#!/usr/bin/env bash
# Serves the API over the demo mesh (or this machine's bat0) from the source tree and starts again when a file changes.
#
#   scripts/start-dev.sh [ARGS of uvicorn]     e.g. --port 8001
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

make_venv "[dev]" -c requirements-ci.lock
say "the token is in the file that \`$VENV/bin/x0t config show\` names"
exec "$VENV/bin/uvicorn" x0tta6bl4.core.app:app --reload --reload-dir src --timeout-graceful-shutdown 2 "$@"
