# shellcheck shell=bash
# Sourced by the other scripts: makes an environment and installs this checkout into it. Needs python3 >= 3.11.
#
#   PYTHON=python3.12       take this interpreter
#   X0TTA6BL4_VENV=DIR      put the environment there (default .venv)
#   make_venv EXTRAS ARG..  EXTRAS is "" or e.g. "[dev]"; ARGs go to pip

VENV=${X0TTA6BL4_VENV:-.venv}

say() { echo "$(basename "$0"): $*"; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$candidate"; return; fi
  done
  say "python3 3.11 or newer is needed (set PYTHON to name one)" >&2
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    say "run as root: $*" >&2; return 1
  fi
}

make_venv() {
  local extras=$1 python stamp; shift
  stamp="$VENV/installed${extras}"
  if [ -x "$VENV/bin/python" ] && [ "$stamp" -nt pyproject.toml ]; then return; fi
  if [ ! -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
      say "installing python3-venv: $python cannot make environments without it"
      as_root apt-get update -q && as_root apt-get install -y -q --no-install-recommends python3-venv
    fi
    say "making $VENV with $("$python" --version)"
    "$python" -m venv --clear "$VENV"
  fi
  say "installing x0tta6bl4$extras into $VENV"
  "$VENV/bin/python" -m pip install -q --disable-pip-version-check "$@" -e ".$extras"
  touch "$stamp"
}
