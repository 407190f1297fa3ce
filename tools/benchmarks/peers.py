#!/usr/bin/env python3
"""How fast Strata runs networks, beside PyTorch, ONNX Runtime and OpenVINO.

Every cell of worklist.py is measured with one and with two threads, all candidates in turn in one
run, medians of several repetitions; in each a candidate makes calls for 30 ms, or one where a call
takes longer. All compute in float32 at full precision, from the same weights on the same input;
every output is compared with PyTorch's in float64. What one core or two can do at most, in
arithmetic and in reading weights from the cache that holds them, is measured beside it: the floor.

    tools/benchmarks/run [--quick] [--json FILE] [--markdown FILE] [--svg FILE]

tools/benchmarks/run installs and builds what is needed, and calls this. The peers are called from
Python, as they mostly are; ONNX Runtime and OpenVINO have their input bound beforehand, so that
little of that counts. RTNeural is in no package registry: its ratios to ONNX Runtime, measured
elsewhere, stand beside Strata's. The machine should have nothing else to do.

Exit status 1 where a cell is missing or an output is wrong by more than 1e-3, and with --goals
where a goal is missed.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

from conversion import machine
from goals import BY_NAME, CANDIDATES, complete, goals, ratio
from tables import markdown, number, plain, with_threads
from worklist import CELLS, QUICK, THREADS

LARGEST_ERROR = 1e-3
SECONDS = 0.03
SMALL_FILES = ("fixtures/pytorch/char-model/model.h5", "fixtures/torch/2.15.0/checkpoint.pt")


def inspected(strata):
    """Milliseconds of `strata inspect`, the whole process, for some small files."""
    found = {}
    for path in SMALL_FILES:
        times = []
        for _ in range(21):
            begin = time.perf_counter()
            subprocess.run([strata, "inspect", path], check=True, stdout=subprocess.DEVNULL)
            times.append((time.perf_counter() - begin) * 1e3)
        found[path] = statistics.median(times)
    return found


def told(row, number_of_row, count):
    """A line of progress."""
    head = f"[{number_of_row}/{count}] {row['name']}, {with_threads(row['threads'])}: "
    if "failure" in row:
        return head + row["failure"]
    times = ", ".join(f"{name} {number(row['candidates'][name]['us'])}" for name in CANDIDATES)
    return f"{head}{times}; {ratio(row):.2f}"


def measured(server, threads, args, rows, count):
    """Appends the rows of a number of threads; gives what is the same for all."""
    here = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, os.path.join(here, "measure.py"), server,
               "--threads", str(threads), "--cells", args.cells, "--seconds", str(SECONDS),
               "--repetitions", str(args.repetitions)]
    # Not the ones that PyTorch's libraries would choose.
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        facts = json.loads(child.stdout.readline() or "null")
        for line in child.stdout:
            rows.append(json.loads(line))
            print(told(rows[-1], len(rows), count), file=sys.stderr, flush=True)
    if facts is None:
        raise SystemExit(f"measure.py: exit status {child.returncode}")
    return facts


def with_floors(rows):
    """The peaks by number of threads; each row gets its floor.

    What the processor can do at most is the best of all that was measured in the run.
    """
    peaks, bandwidths = {}, {}
    for row in rows:
        for found in row.get("limits", ()):
            threads = row["threads"]
            peaks[threads] = max(peaks.get(threads, 0), found["peak"])
            for size, rate in found["bandwidth"].items():
                place = (threads, int(size))
                bandwidths[place] = max(bandwidths.get(place, 0), rate)
    for row in rows:
        if row.pop("limits", None):
            cell, threads = BY_NAME[row["name"]], row["threads"]
            row["bandwidth"] = {size: bandwidths[threads, size] for size in cell.footprints}
            row["floor"] = cell.floor(peaks[threads], row["bandwidth"])
    return peaks


def measure(args):
    """The whole result."""
    cells = [cell for cell in CELLS if re.search(args.cells, cell.name)]
    rows, facts = [], {}
    for threads in THREADS:
        facts = measured(args.server, threads, args, rows, len(cells) * len(THREADS))
    place = machine() | {"instruction_set": facts["kernels"],
                         "floor_instruction_set": facts["floor"]}
    peaks = with_floors(rows)
    for row in rows:
        cell = BY_NAME[row["name"]]
        row |= {"kind": cell.kind, "group": cell.group, "steps": cell.steps, "batch": cell.batch,
                "input_size": cell.input_size, "hidden_size": cell.hidden_size,
                "layers": cell.layers, "bidirectional": cell.directions == 2,
                "head": cell.has_head}
    result = {"machine": place, "versions": facts["versions"], "repetitions": args.repetitions,
              "peaks": peaks, "asked": [[cell.name, threads] for threads in THREADS
                                        for cell in cells], "cells": rows}
    if args.strata:
        result["inspect_ms"] = inspected(args.strata)
    return result


def faults(result):
    """What is missing or wrong, in words."""
    there = {(row["name"], row["threads"]): row for row in complete(result)}
    found = [f"missing: {name}, {with_threads(threads)}" for name, threads in result["asked"]
             if (name, threads) not in there]
    for row in there.values():
        found += [f"wrong: {row['name']}, {with_threads(row['threads'])}: {name} is off by "
                  f"{one['error']:.1e}" for name, one in row["candidates"].items()
                  # Not a number is wrong too.
                  if not one["error"] <= LARGEST_ERROR]
    return found or ([] if there else ["missing: every cell"])


def write(path, text):
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("server", metavar="RUNTIME-BENCH", help="a release build")
    parser.add_argument("--strata", metavar="FILE", help="the tool, a release build: its inspect "
                                                         "is measured too")
    parser.add_argument("--quick", action="store_true", help="a few cells, two repetitions")
    parser.add_argument("--cells", metavar="REGEX",
                        help='those whose name has it: "lstm T1 N1 I1 H40 L2 head"')
    parser.add_argument("--repetitions", metavar="N", type=int, help="default 5")
    parser.add_argument("--from", metavar="FILE", dest="source",
                        help="measure nothing, tell what an earlier --json holds")
    parser.add_argument("--goals", action="store_true", help="a missed goal is exit status 1")
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there")
    parser.add_argument("--svg", metavar="FILE", help="write the picture there")
    args = parser.parse_args()
    args.cells = args.cells or (QUICK if args.quick else "")
    args.repetitions = args.repetitions or (2 if args.quick else 5)
    if args.source:
        with open(args.source, encoding="utf-8") as file:
            result = json.load(file)
    else:
        result = measure(args)
    result["goals"] = [{"name": goal.name, "met": goal.is_met, "cells": goal.cells,
                        "misses": goal.misses} for goal in goals(result)]
    write(args.json, json.dumps(result, indent=1) + "\n")
    print(plain(result))
    write(args.markdown, markdown(result))
    if args.svg and complete(result):
        from chart import draw
        draw(result, args.svg)
    found = faults(result)
    print("".join(f"\n{fault}" for fault in found), end="\n" if found else "")
    missed = any(goal.is_met is False for goal in goals(result))
    return 1 if found or (args.goals and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
