#!/usr/bin/env bash
# Installs what scripts/test.sh needs beyond Python, as root or with sudo, where apt is: QEMU and a guest for the vm
# tests, a Prometheus that loads the rules and dashboards. Tests whose tool is missing are skipped.
#
#   scripts/test-needs.sh    idempotent
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

if [ "$(uname -s)" != Linux ] || ! command -v apt-get >/dev/null; then
  say "no apt-get here: the tests that need QEMU or Prometheus will be skipped"
  exit 0
fi
if ! command -v prometheus >/dev/null; then
  as_root apt-get update -q
  as_root apt-get install -qy --no-install-recommends prometheus
fi
scripts/install-lab.sh
