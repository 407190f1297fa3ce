# Sourced by the other scripts: installs what is missing, and says what it does.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian's packages, or Homebrew's: install_packages "debian packages" "homebrew packages"
install_packages() {
  if command -v apt-get >/dev/null; then
    local missing=()
    for package in $1; do
      dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "Installing ${missing[*]} with apt-get"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" >/dev/null
  elif command -v brew >/dev/null; then
    local missing=()
    for package in $2; do
      brew list --versions "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "Installing ${missing[*]} with Homebrew"
    brew install --quiet "${missing[@]}"
  else
    echo "Neither apt-get nor brew is here: please install $1 by hand." >&2
    exit 1
  fi
}

require_swift() {
  if ! command -v swift >/dev/null; then
    echo "Swift 6.3 or later is needed: https://www.swift.org/install" >&2
    exit 1
  fi
  local version
  version="$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)"
  if [ "$(printf '%s\n' 6.3 "$version" | sort -V | head -n 1)" != 6.3 ]; then
    echo "Swift 6.3 or later is needed, this is $version: https://www.swift.org/install" >&2
    exit 1
  fi
}

install_build_packages() {
  require_swift
  install_packages "git libhdf5-dev zlib1g-dev pkg-config" "hdf5 pkgconf"
}

# Builds the tool and sets `strata` to it. On Linux Swift's own libraries go into the executable, which so
# runs where Swift is not installed, and libhdf5 is loaded by those calls only that meet an HDF5 file: it
# starts in a fifth of the time.
build_tool() {
  say "Building the tool (release)"
  local options=(-c release --product strata)
  [ "$(uname)" != Linux ] || options+=(--static-swift-stdlib)
  swift build "${options[@]}"
  strata="$(swift build -c release --show-bin-path)/strata"
}

# Builds what tools/differential asks about files, and sets `probe` to it.
build_probe() {
  say "Building the probe (release)"
  local options=(-c release --product CheckpointProbe)
  [ "$(uname)" != Linux ] || options+=(--static-swift-stdlib)
  swift build "${options[@]}"
  # shellcheck disable=SC2034
  probe="$(swift build -c release --show-bin-path)/CheckpointProbe"
}

# A private Python with numpy, h5py and safetensors; STRATA_PYTHON names its interpreter, or one of the user's.
install_python() {
  if [ -z "${STRATA_PYTHON:-}" ]; then
    install_packages "python3 python3-venv" "python"
    STRATA_PYTHON="$PWD/.build/python/bin/python"
    if ! "$STRATA_PYTHON" -c 'import numpy, h5py, safetensors' 2>/dev/null; then
      say "Installing numpy, h5py and safetensors into .build/python"
      python3 -m venv .build/python
      "$STRATA_PYTHON" -m pip install --quiet --disable-pip-version-check numpy h5py safetensors
    fi
  fi
  export STRATA_PYTHON
}

# The same with PyTorch, for what compares with all reference readers; STRATA_REFERENCE_PYTHON.
install_reference_readers() {
  if [ -z "${STRATA_REFERENCE_PYTHON:-}" ]; then
    install_packages "python3 python3-venv" "python"
    STRATA_REFERENCE_PYTHON="$PWD/.build/reference/bin/python"
    if ! "$STRATA_REFERENCE_PYTHON" -c 'import torch, numpy, h5py, safetensors' 2>/dev/null; then
      say "Installing torch, numpy, h5py and safetensors into .build/reference"
      python3 -m venv .build/reference
      local install=("$STRATA_REFERENCE_PYTHON" -m pip install --quiet --disable-pip-version-check)
      # PyPI's torch for Linux brings gigabytes for graphics processors; its own index has one without.
      "${install[@]}" --no-deps --retries 0 --timeout 15 \
        --index-url https://download.pytorch.org/whl/cpu torch==2.15.0 ||
        echo "From PyPI then, which takes longer."
      "${install[@]}" torch==2.15.0 numpy h5py safetensors
    fi
  fi
  export STRATA_REFERENCE_PYTHON
}

# Those of them that are there, for short forms: without PyTorch, some gigabytes, `without` leaves its format
# out.
find_reference_readers() {
  # shellcheck disable=SC2034
  without=()
  : "${STRATA_REFERENCE_PYTHON:=$PWD/.build/reference/bin/python}"
  if ! "$STRATA_REFERENCE_PYTHON" -c 'import torch, numpy, h5py, safetensors' 2>/dev/null; then
    echo "PyTorch is not there: its format is left out."
    install_python
    STRATA_REFERENCE_PYTHON="$STRATA_PYTHON"
    # shellcheck disable=SC2034
    without=(--without pytorch)
  fi
  export STRATA_REFERENCE_PYTHON
}

# Chromium, a typeface that the pages ask for, and a Python that speaks to it; STRATA_BROWSER_PYTHON.
install_browser() {
  install_packages "chromium fonts-inter python3 python3-venv" "python"
  STRATA_BROWSER_PYTHON="$PWD/.build/browser/bin/python"
  if ! "$STRATA_BROWSER_PYTHON" -c 'import websocket' 2>/dev/null; then
    say "Installing websocket-client into .build/browser"
    python3 -m venv .build/browser
    "$STRATA_BROWSER_PYTHON" -m pip install --quiet --disable-pip-version-check websocket-client
  fi
  export STRATA_BROWSER_PYTHON
}
