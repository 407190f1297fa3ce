#!/usr/bin/env python3
"""How fast HDF5 files are read apart, beside h5py and beside reading in the same process.

Each way reads the whole file, every tensor into memory of its own, in turn with the others; what
counts are medians. Reading apart has to reach half of h5py's speed.

usage: hdf5_speed.py READER [--megabytes 500] [--runs 9] [--json FILE]     (READER: hdf5-reading)
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import h5py
import numpy

GOAL = 0.5
# What h5py is told of each layout.
LAYOUTS = {
    "contiguous": {},
    "in chunks": {"chunks": (256, 1024)},
    "in chunks, shuffled and deflated": {
        "chunks": (256, 1024), "compression": "gzip", "shuffle": True},
}


def write(path, megabytes, options):
    """A file of float32 matrices of 64 MB, weights of a normal distribution."""
    rng = numpy.random.default_rng(1)
    rows = 16_000
    block = rng.standard_normal((rows, 1024), numpy.float32)
    with h5py.File(path, "w") as file:
        for number in range(max(1, round(megabytes * 1e6 / block.nbytes))):
            file.create_dataset(f"weight_{number}", data=block, **options)
    return os.path.getsize(path)


def h5py_seconds(path):
    begin = time.perf_counter()
    with h5py.File(path) as file:
        tensors = {name: file[name][:] for name in file}
    seconds = time.perf_counter() - begin
    return sum(tensor.nbytes for tensor in tensors.values()), seconds


class Reader:
    """A process of hdf5-reading."""

    def __init__(self, program, path):
        self.process = subprocess.Popen([program, path], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def seconds(self, way):
        self.process.stdin.write(way + "\n")
        self.process.stdin.flush()
        count, seconds = self.process.stdout.readline().split()
        return int(count), float(seconds)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("reader")
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json")
    args = parser.parse_args()
    entries = []
    for layout, options in LAYOUTS.items():
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "model.h5")
            write(path, args.megabytes, options)
            reader = Reader(args.reader, path)
            ways = {"h5py": lambda: h5py_seconds(path), "here": lambda: reader.seconds("here"),
                    "apart": lambda: reader.seconds("apart")}
            taken = {way: [] for way in ways}
            # The first turn fills the page cache and does not count.
            for turn in range(args.runs + 1):
                counts = set()
                for way, run in ways.items():
                    count, seconds = run()
                    counts.add(count)
                    if turn > 0:
                        taken[way].append(seconds)
                if len(counts) != 1:
                    sys.exit(f"{layout}: the readers have read different sizes: {counts}")
            reader.close()
        speed = {way: counts.copy().pop() / statistics.median(seconds) / 1e6
                 for way, seconds in taken.items()}
        ratio = speed["apart"] / speed["h5py"]
        told = (f"{speed['apart']:.0f} MB/s apart, {speed['here']:.0f} in the same process, "
                f"h5py {speed['h5py']:.0f}: {ratio:.2f} of h5py's speed")
        print(f"{layout}: {told}")
        entries.append({
            "what": f"Reading {args.megabytes} MB of HDF5 {layout} apart at half of h5py's speed, "
                    "or faster", "tried": 1, "survived": int(ratio >= GOAL), "note": told})
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(entries, file, indent=1)
    return 0 if all(entry["survived"] for entry in entries) else 1


if __name__ == "__main__":
    sys.exit(main())
