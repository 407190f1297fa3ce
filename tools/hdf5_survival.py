#!/usr/bin/env python3
"""Whether the tool survives HDF5 files that libhdf5 does not.

Runs `strata inspect` and `strata convert` on every file: each run has to end with status 0 or 2,
with one JSON object, in time, and without an output file unless the status is 0. How often the
process that parses the file for the tool was ended by a signal is told beside it.

usage: hdf5_survival.py STRATA files DIRECTORY [--json FILE]
       hdf5_survival.py STRATA mutations [COUNT] [--seed N] [--keep DIRECTORY] [--json FILE]

`files` takes every file below a directory. `mutations` makes COUNT damaged copies of the files
under fixtures/, always the same ones for a seed; with --keep those that end a parser are kept.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
SECONDS = 60
# Numbers that parsers stumble over, of 1, 2, 4 and 8 bytes.
EDGES = [bytes(width) for width in (1, 2, 4, 8)] + [
    number.to_bytes(width, "little") for width in (1, 2, 4, 8)
    for number in (1, (1 << 8 * width) - 1, (1 << 8 * width) - 2, 1 << 8 * width - 1,
                   (1 << 8 * width - 1) - 1, 64, 96)]


def run(strata, arguments, target=None):
    """(whether the tool survived, the code that it told)."""
    try:
        result = subprocess.run([strata, *arguments, "--json"], capture_output=True,
                                timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False, "timeout"
    is_there = target is not None and os.path.exists(target)
    try:
        said = json.loads(result.stdout)
    except ValueError:
        return False, f"status {result.returncode}"
    code = said.get("error", {}).get("code", "read")
    is_right = result.returncode == (0 if code == "read" else 2)
    return is_right and is_there == (target is not None and code == "read"), code


def survive(strata, path):
    """[(survived, code)] of every run on a file."""
    with tempfile.TemporaryDirectory() as directory:
        target = os.path.join(directory, "x.strata")
        # Not taken for another format because of damage to its first bytes.
        results = [run(strata, ["inspect", str(path)]),
                   run(strata, ["convert", str(path), target, "--from", "hdf5"], target)]
        left = [name for name in os.listdir(directory) if name != "x.strata"]
        return results + ([(False, f"left behind {left}")] if left else [])


def mutated(rng, seeds):
    """A damaged copy of one of the seeds."""
    data = bytearray(rng.choice(seeds))
    # Most of what libhdf5 parses stands near the beginning, and where nothing is zero.
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 8))):
        place = rng.randrange(min(len(data), 4096) if rng.random() < 0.5 else len(data))
        for _ in range(50):
            if data[place] or rng.random() < 0.1:
                break
            place = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place] = rng.randrange(256)
        elif kind == 2:
            edge = rng.choice(EDGES)[:len(data) - place]
            data[place:place + len(edge)] = edge
        else:
            # Eight bytes from elsewhere in the file: often an address.
            start = rng.randrange(max(1, len(data) // 8)) * 8
            piece = data[start:start + 8][:len(data) - place]
            data[place:place + len(piece)] = piece
    return bytes(data)


def seeds():
    """HDF5 files of every kind that stand in fixtures/."""
    paths = sorted(FIXTURES.glob("hdf5/**/*.h5")) + sorted(FIXTURES.glob("pytorch/*/golden.h5"))
    return [path.read_bytes() for path in paths if path.stat().st_size < 200_000]


def report(what, names, results, note=""):
    """Prints and returns what came of it."""
    codes = collections.Counter(code for runs in results for _, code in runs)
    survived = sum(all(is_right for is_right, _ in runs) for runs in results)
    for name, runs in zip(names, results):
        if not all(is_right for is_right, _ in runs):
            print(f"NOT SURVIVED: {name}: {runs}")
    ended = sum(any(code == "hdf5ReaderCrashed" for _, code in runs) for runs in results)
    stopped = sum(any(code == "hdf5ReaderLimit" for _, code in runs) for runs in results)
    note = f"{note}{ended} of them ended the process that parses for the tool, {stopped} took " \
           "too much time or memory"
    print(", ".join(f"{code} {count}" for code, count in codes.most_common()))
    print(f"{what}: the tool survived {survived} of {len(results)}; {note}")
    return {"what": what, "tried": len(results), "survived": survived, "note": note}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("strata")
    parser.add_argument("kind", choices=("files", "mutations"))
    parser.add_argument("what", nargs="?", default="5000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep")
    parser.add_argument("--title", default="Malformed HDF5 files")
    parser.add_argument("--json")
    args = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        if args.kind == "files":
            paths = sorted(path for path in pathlib.Path(args.what).rglob("*") if path.is_file())
            results = list(threads.map(lambda path: survive(args.strata, path), paths))
            entry = report(args.title, paths, results)
        else:
            originals, rng = seeds(), random.Random(args.seed)

            def attempt(data):
                with tempfile.NamedTemporaryFile(suffix=".h5") as file:
                    file.write(data)
                    file.flush()
                    return survive(args.strata, file.name)

            count, results, kept = int(args.what), [], 0
            # In lots, so that not all copies are in memory at once.
            for start in range(0, count, 500):
                lot = [mutated(rng, originals) for _ in range(min(500, count - start))]
                for data, runs in zip(lot, threads.map(attempt, lot)):
                    results.append(runs)
                    if args.keep and any(code.startswith("hdf5Reader") for _, code in runs):
                        name = f"{args.seed}-{len(results) - 1}.h5"
                        pathlib.Path(args.keep, name).write_bytes(data)
                        kept += 1
            entry = report("Mutated HDF5 files through the real libhdf5, inspected and converted",
                           [f"number {n} of seed {args.seed}" for n in range(count)], results)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump([entry], file, indent=1)
    return 0 if entry["survived"] == entry["tried"] else 1


if __name__ == "__main__":
    sys.exit(main())
