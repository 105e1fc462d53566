#!/usr/bin/env bash
# Runs on this machine what the workflows in .github/workflows run, by the same scripts, and says what it could not run.
#
#   scripts/ci-cd-simulate.sh [JOB...]     test, package, image; all by default
#   PYTHONS="3.12 3.13" ...                tests with these only (default: those of 3.11 to 3.14 that are here)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

passed=() failed=() absent=()

# job NAME COMMAND..: one failure does not keep the others from running
job() {
  local name=$1; shift
  say "$name: $*"
  if "$@"; then passed+=("$name"); else failed+=("$name"); fi
}

test_job() {
  local version
  job test-needs scripts/test-needs.sh
  for version in ${PYTHONS:-3.11 3.12 3.13 3.14}; do
    if "python$version" --version >/dev/null 2>&1; then
      job "test-$version" env "PYTHON=python$version" "X0TTA6BL4_VENV=build/venv-$version" scripts/test.sh
    else
      absent+=("test-$version (no python$version)")
    fi
  done
}

package_job() { job package scripts/package.sh; }

image_job() {
  if docker info >/dev/null 2>&1; then
    job image scripts/image.sh --pull
  elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    job image-root scripts/image-root.sh
  else
    absent+=("image (no docker daemon, and scripts/image-root.sh needs root and apt)")
  fi
}

[ $# -gt 0 ] || set -- test package image
for name in "$@"; do
  case $name in
    test | package | image) ;;
    *) say "JOB: got '$name', allowed: test, package, image" >&2; exit 2 ;;
  esac
done
for name in "$@"; do "${name}_job"; done

say "passed: ${passed[*]:-none}"
[ ${#absent[@]} = 0 ] || say "not run here: $(IFS=,; echo "${absent[*]}")"
[ ${#failed[@]} = 0 ] || { say "failed: ${failed[*]}" >&2; exit 1; }
[ ${#passed[@]} != 0 ] || { say "nothing could be run" >&2; exit 1; }
