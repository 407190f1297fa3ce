#!/usr/bin/env bash
# Makes fixtures/torch anew: one folder for each version of torch, written by that version.
#
#   tools/make_torch_fixtures.sh                 all of them
#   tools/make_torch_fixtures.sh 1.7.1 2.15.0    these
#
# Each version gets a private environment in .build/torch/<version>, which takes up to 6 GB and is
# removed again unless STRATA_KEEP=1. Interpreters python2.7, python3.6 … are looked for in PATH, then
# in $STRATA_PYTHONS/<version>*/bin (a pyenv's `versions`, for example). A version whose interpreter is
# not there is told and left out.
set -euo pipefail
cd "$(dirname "$0")/.."

# torch, its year, a Python that it is made for
versions="\
1.0.0 2018 2.7
1.3.1 2019 3.6
1.7.1 2020 3.6
1.10.2 2021 3.7
1.13.1 2022 3.8
2.1.2 2023 3.9
2.5.1 2024 3.10
2.9.1 2025 3.12
2.15.0 2026 3.13"

interpreter() {
  local found
  for found in "${STRATA_PYTHONS:-/nonexistent}/$1".*/bin/"python$1" "$(command -v "python$1" || true)"; do
    if [ -x "$found" ] && "$found" -c '' 2>/dev/null; then
      echo "$found"
      return
    fi
  done
}

while read -r torch _ python; do
  if [ $# -gt 0 ] && [[ " $* " != *" $torch "* ]]; then continue; fi
  found="$(interpreter "$python")"
  if [ -z "$found" ]; then
    echo "torch $torch is left out: python$python is not there" >&2
    continue
  fi
  place=".build/torch/$torch"
  if [ ! -x "$place/bin/python" ]; then
    if [ "$python" = 2.7 ]; then
      "$found" -m pip install --quiet 'virtualenv<20.16'
      "$found" -m virtualenv --quiet "$place"
    else
      "$found" -m venv "$place"
    fi
    "$place/bin/python" -m pip install --quiet --upgrade pip
    # Versions before 2.2 do not know NumPy 2.
    [[ "$torch" =~ ^(1\.|2\.[01]\.) ]] && numpy='numpy<2' || numpy=numpy
    "$place/bin/python" -m pip install --quiet --no-cache-dir "torch==$torch" "$numpy"
  fi
  "$place/bin/python" tools/make_torch_fixtures.py
  [ "${STRATA_KEEP:-}" = 1 ] || rm -rf "$place"
done <<<"$versions"
