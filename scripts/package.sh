#!/usr/bin/env bash
# Builds wheel and source archive into dist/, checks their metadata and tries the wheel in an environment of its own.
#
#   scripts/package.sh [TAG]     with TAG also writes build/release-notes.md and refuses a tag of another version
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

if [ $# -gt 0 ]; then
  mkdir -p build
  scripts/release-notes.sh "$1" >build/release-notes.md
fi
make_venv "[release]" -c requirements-ci.lock
rm -rf dist
"$VENV/bin/python" -m build --outdir dist . >/dev/null
"$VENV/bin/twine" check --strict dist/*

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
"$VENV/bin/python" -m venv "$trial/venv"
"$trial/venv/bin/pip" install -q --disable-pip-version-check -c requirements-ci.lock dist/*.whl
cd "$trial"
venv/bin/x0t --version
# What the package needs beside its modules: scenarios, migrations of the store, the catalogue.
X0T_STORE__DIRECTORY=$trial/state venv/bin/x0t demo --no-api --seconds 3 --speed 10 | tail -n 1
