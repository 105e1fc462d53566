#!/usr/bin/env bash
# Prints what CHANGELOG.md says of the version that a tag names; refuses a tag that is not this checkout's version.
#
#   scripts/release-notes.sh v3.4.0
set -euo pipefail
cd "$(dirname "$0")/.."

tag=${1:-}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
fail() { echo "release-notes.sh: $*" >&2; exit 1; }

[ "$tag" = "v$version" ] || fail "tag: got '$tag', allowed: v$version (the version in pyproject.toml)"
grep -Eqx "## ${version//./\\.} \([0-9]{4}-[0-9]{2}-[0-9]{2}\)" CHANGELOG.md ||
  fail "CHANGELOG.md: no heading '## $version (YYYY-MM-DD)'"
awk -v heading="## $version (" '/^## / { on = index($0, heading) == 1; next } on' CHANGELOG.md | sed '/./,$!d'
