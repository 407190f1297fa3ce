#!/usr/bin/env python3
"""Make fixtures/malformed: files that are wrong, each in one way, with Python alone.

Every file is called <error code>.<what is wrong>.<extension>; `accepted.*` look odd and are to be
read. manifest.json says of each which row of the table of hostile inputs it stands for, whether
the whole file or one tensor is at fault, and why; and of the accepted ones what they hold:

    {"files": {"pytorch/overlap.quoted-entry.pt": {"row", "code", "fault", "tensor"?, "why"},
               "npz/accepted.big-endian.npz": {"row", "code": "accepted", "why",
                                               "tensors": {name: {"dtype", "shape", "hex"}}}}}

    python tools/make_malformed.py             make all of them anew
    python tools/make_malformed.py --check     compare with those that are there
"""

import argparse
import json
import os
import shutil
import sys

from malformed import hdf5_files, npz_files, pytorch_archives, pytorch_legacy, pytorch_pickles
from malformed import safetensors_files, strata_files

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                        "fixtures", "malformed")
FORMATS = {"pytorch": (pytorch_pickles, pytorch_archives, pytorch_legacy),
           "safetensors": (safetensors_files,), "npz": (npz_files,), "hdf5": (hdf5_files,),
           "strata": (strata_files,)}
LARGEST = 210_000


def files():
    """({path: bytes}, manifest): every file, and what is to come of it."""
    contents, entries = {}, {}
    for folder, modules in FORMATS.items():
        for case in (case for module in modules for case in module.cases()):
            path = f"{folder}/{case.code}.{case.what}.{case.extension}"
            parts = {path: case.data}
            if isinstance(case.data, dict):
                parts = {f"{path}/{name}": data for name, data in case.data.items()}
                path = next(iter(parts))
            if path in entries:
                raise ValueError(f"{path} is made twice")
            contents.update(parts)
            entries[path] = entry(case)
    for path, data in contents.items():
        if len(data) > LARGEST:
            raise ValueError(f"{path} has {len(data)} bytes")
    return contents, {"files": entries}


def entry(case):
    """What the manifest says of a file."""
    said = {"row": case.row, "code": case.code}
    if case.answer is None:
        said["fault"] = case.fault
        if case.tensor:
            said["tensor"] = case.tensor
    said["why"] = case.why
    if case.answer is not None:
        said["tensors"] = {name: {"dtype": dtype, "shape": list(shape), "hex": short(data)}
                           for name, (dtype, shape, data) in case.answer.items()}
    return said


def short(data):
    """Hexadecimal digits; zeros alone as their number, `0*1000`."""
    return f"0*{len(data)}" if len(data) > 1000 and not any(data) else data.hex()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with those that are there")
    parser.add_argument("--output", metavar="FOLDER", default=FIXTURES, help="elsewhere")
    args = parser.parse_args()
    contents, manifest = files()
    contents["manifest.json"] = (json.dumps(manifest, indent=1) + "\n").encode()
    if args.check:
        there = {os.path.relpath(os.path.join(place, name), args.output).replace(os.sep, "/")
                 for place, _, names in os.walk(args.output) for name in names}
        there = {path for path in there if path.split("/")[0] in {*FORMATS, "manifest.json"}}
        wrong = sorted(there ^ set(contents))
        for path in sorted(there & set(contents)):
            with open(os.path.join(args.output, path), "rb") as file:
                if file.read() != contents[path]:
                    wrong.append(path)
        print("\n".join(wrong) or f"{len(contents)} files are as they are made")
        return 1 if wrong else 0
    for folder in FORMATS:
        shutil.rmtree(os.path.join(args.output, folder), ignore_errors=True)
    for path, data in contents.items():
        path = os.path.join(args.output, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    counts = {folder: sum(path.startswith(folder) for path in manifest["files"])
              for folder in FORMATS}
    print(", ".join(f"{folder} {count}" for folder, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
