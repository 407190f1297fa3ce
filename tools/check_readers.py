#!/usr/bin/env python3
"""Every fixture through every format, read back with the reference readers and verified.

For each case of fixtures/pytorch, `strata convert` writes .strata (raw and deflate) and HDF5 (flat,
nested, deflate), each from the original and from the .strata file. h5py and tools/read_strata.py
must find every tensor of the original in every one of them, bit for bit, and `strata verify` must
pass.

usage: check_readers.py STRATA      (the executable)
"""

import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy

from read_strata import read_strata

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Output file, and the options that make it.
TARGETS = [
    ("raw.strata", []),
    ("deflate.strata", ["--compress", "deflate"]),
    ("flat.h5", []),
    ("nested.h5", ["--set", "hdf5_layout=nested"]),
    ("deflate.h5", ["--compress", "deflate"]),
]


def hdf5_tensors(path):
    """Name to (shape, bytes) of every dataset outside the goldens."""
    tensors = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("strata_goldens/"):
            # Read in the file's own type, so that nothing is converted: h5py would widen bfloat16.
            kind = item.id.get_type()
            array = numpy.empty(item.shape, numpy.dtype((numpy.void, kind.get_size())))
            item.id.read(h5py.h5s.ALL, h5py.h5s.ALL, array, kind)
            tensors[name.replace("/", ".")] = (tuple(item.shape), array.tobytes())

    with h5py.File(path) as file:
        file.visititems(visit)
    return tensors


def strata_tensors(path):
    """Name to (shape, bytes) of every tensor of the state dict."""
    file = read_strata(path)
    return {name: (tuple(t.shape), t.data.tobytes()) for name, t in file.state_dict.items()}


def without_wrappers(tensors):
    """The tensors by the names that `strata convert` gives them."""
    def unwrapped(name):
        while name.startswith(("module.", "_orig_mod.")):
            name = name.split(".", 1)[1]
        return name

    return {unwrapped(name): value for name, value in tensors.items()}


def main():
    """Runs everything; exits with 1 when something differs."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    strata = sys.argv[1]
    cases = sorted((ROOT / "fixtures" / "pytorch").iterdir())
    passed = failed = 0

    def check(what, is_right):
        nonlocal passed, failed
        passed, failed = passed + bool(is_right), failed + (not is_right)
        if not is_right:
            print(f"FAILED: {what}")

    for case in cases:
        original = without_wrappers(hdf5_tensors(case / "model.h5"))
        with tempfile.TemporaryDirectory() as directory:
            source = case / "model.h5"
            for round_trip in range(2):
                for name, options in TARGETS:
                    target = pathlib.Path(directory, f"{round_trip}-{name}")
                    what = f"{case.name}: {source.name} to {target.name}"
                    command = [strata, "convert", str(source), str(target), "--quiet", *options]
                    if subprocess.run(command).returncode != 0:
                        check(what, False)
                        continue
                    read = strata_tensors if target.suffix == ".strata" else hdf5_tensors
                    check(what, read(target) == original)
                    verify = [strata, "verify", str(target), str(case / "golden.h5"), "--quiet"]
                    check(f"{what}, verified", subprocess.run(verify).returncode == 0)
                source = pathlib.Path(directory, "0-raw.strata")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
