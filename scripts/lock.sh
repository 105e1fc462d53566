#!/usr/bin/env bash
# Writes the two files of exact versions from pyproject.toml: run it whenever dependencies change there.
#
#   scripts/lock.sh             keeps the versions that are locked already, as far as pyproject.toml allows
#   scripts/lock.sh --upgrade   takes the newest of all
#
#   requirements-ci.lock        constraints of scripts/test.sh: everything that the tests are run with
#   requirements-image.lock     what the container holds, each with the hashes of its files
#
# Both are solved for the oldest Python that is supported; what that takes installs on the newer ones too.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

make_venv "[release]"
draft=$(mktemp -d)
trap 'rm -rf "$draft"' EXIT

# lock FILE PURPOSE ARGS..: the comment on top says what the file is for, and how it is made
lock() {
  local file=$1 purpose=$2; shift 2
  [ ! -f "$file" ] || cp "$file" "$draft/$file"
  "$VENV/bin/uv" pip compile -q pyproject.toml --python-version 3.11 --python-platform linux --no-header --no-annotate \
    -o "$draft/$file" "$@"
  { echo "# $purpose"; echo "# Made by scripts/lock.sh"; grep -v '^#' "$draft/$file"; } >"$file"
  say "$file: $(grep -c == "$file") packages"
}

lock requirements-ci.lock "Versions that the tests are run with: pip install -c requirements-ci.lock -e '.[dev]'" --extra dev "$@"
lock requirements-image.lock "Versions that the container holds: pip install --require-hashes -r requirements-image.lock" \
  --extra monitoring --generate-hashes "$@"
