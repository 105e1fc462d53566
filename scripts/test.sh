#!/usr/bin/env bash
# Everything that must hold before a change is taken in: lint, types, import contracts, docstrings, tests, coverage.
#
#   scripts/test.sh [ARGS of pytest]     e.g. -k settings, -m "not vm and not slow" (the gates on coverage then stay off)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

make_venv "[dev]" -c requirements-ci.lock
bin=.venv/bin

# The vm tests need QEMU and a kernel. As root they are installed; without root the tests say what they lack and skip.
if [ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null; then
  if [ "$(id -u)" = 0 ]; then scripts/install-lab.sh; else scripts/install-lab.sh || say "vm tests will be skipped"; fi
fi

step() { say "$*"; "$@"; }
step $bin/ruff check .
step $bin/ruff format --check .
step $bin/mypy
step $bin/lint-imports
step $bin/interrogate -q src
if [ $# -gt 0 ]; then step $bin/pytest "$@"; exit; fi
step $bin/pytest --cov --cov-branch --cov-report=term:skip-covered
step $bin/coverage report --include='*/mape_k/*' --fail-under=85 --skip-covered
