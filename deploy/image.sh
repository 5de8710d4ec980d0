#!/bin/sh
# Builds the image of deploy/Dockerfile: with Docker where an engine answers; elsewhere with buildah, and
# where no registry answers either, upon a base of Debian's packages (debootstrap), as root.
#
#   deploy/image.sh [TAG]        PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:… pins the base
#                                LOCK=requirements-agent.lock is what is installed (for `billing mcp`)
set -eu
cd "$(dirname "$0")/.."
tag=${1:-billing}
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' infra/billing/version.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# For builders that heed it: the image is of the time of its commit.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH

build() { # build PROGRAM…: with the arguments that Docker and buildah share
    "$@" --file deploy/Dockerfile --tag "$tag" \
        --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        ${PYTHON_IMAGE:+--build-arg PYTHON_IMAGE="$PYTHON_IMAGE"} \
        ${LOCK:+--build-arg LOCK="$LOCK"} \
        ${PIP_CERT:+--build-arg PIP_CERT="$PIP_CERT"} .
}

if docker info >/dev/null 2>&1; then
    build docker build
    exit
fi
command -v buildah >/dev/null || {
    echo "Neither a Docker engine answers nor is buildah there: apt-get install buildah" >&2
    exit 1
}
if [ -z "${PYTHON_IMAGE:-}" ] && ! timeout 60 buildah pull --quiet docker://python:3.11-slim-bookworm 2>/dev/null; then
    PYTHON_IMAGE=localhost/billing-base:bookworm
    if ! buildah inspect --type image "$PYTHON_IMAGE" >/dev/null 2>&1; then
        echo "No registry answers: making a base of Debian's packages, for a try" >&2
        command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 1; }
        root=$(mktemp -d)
        trap 'rm -rf "$root"' EXIT
        debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
            bookworm "$root/base" >&2
        rm -rf "$root"/base/var/cache/apt/* "$root"/base/var/lib/apt/lists/*
        base=$(buildah from scratch)
        buildah add --quiet "$base" "$root/base" / >/dev/null
        buildah commit --quiet --rm "$base" "$PYTHON_IMAGE" >/dev/null
    fi
fi
# Where a proxy of this machine's ends TLS, its certificates are needed to reach the packages; they are
# there while it builds, and not in the image. Docker's format, since OCI's has no HEALTHCHECK.
build buildah build --isolation chroot --format docker \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro
echo "$tag: $(buildah images --format '{{.Size}}' "$tag" | head -1)" >&2
