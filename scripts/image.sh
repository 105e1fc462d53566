#!/usr/bin/env bash
# Builds the image of this checkout and holds it against scripts/image-check.sh.
#
#   scripts/image.sh [ARGS of build]      e.g. --pull; the result is named x0tta6bl4
#   CONTAINER=podman scripts/image.sh     with podman instead of docker
#
# Where no base image can be pulled: scripts/image-root.sh
set -euo pipefail
cd "$(dirname "$0")/.."

engine=${CONTAINER:-docker}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
"$engine" build --tag x0tta6bl4 --build-arg "VERSION=$version" --build-arg "REVISION=$revision" "$@" .
scripts/image-check.sh x0tta6bl4
