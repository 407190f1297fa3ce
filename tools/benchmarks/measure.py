#!/usr/bin/env python3
"""Measures the work list with one number of threads: a process that peers.py starts.

It is a process of its own for each number because PyTorch's cannot always be changed later. Prints
a JSON object a line: first the versions, then for each cell what was found.

A library's threads spin for a while after a call, waiting for the next one, and would take a core
from the candidate that follows. So before each measurement this process waits until it uses hardly
any processor time. Strata's threads, in a process of their own, sleep as soon as they are done.
"""

import argparse
import gc
import json
import os
import re
import statistics
import sys
import tempfile
import time

import numpy as np
import torch

import candidates
from worklist import CELLS


def settle():
    """Wait until no thread of this process is busy: at least 20 ms, at most a second."""
    for _ in range(50):
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < 0.001:
            return


def make(network, server, threads):
    """The candidates of a cell by name."""
    runtime = candidates.ONNXRuntime(network, threads)
    found = {
        "strata": candidates.Strata(server, network, threads),
        "pytorch": candidates.PyTorch(network),
        "onnxruntime": runtime,
        "onnxruntime_bound": candidates.BoundONNXRuntime(runtime, network),
        "openvino": candidates.OpenVINO(network, threads),
    }
    if threads > 1:
        found["strata_1"] = candidates.Strata(server, network, 1, "strata_1")
    return found


def repeated(found, repetitions, seconds):
    """Times of every candidate: in turn, every second repetition in the opposite order."""
    times = {name: [] for name in found}
    number = 0
    while number < repetitions:
        for name in list(found) if number % 2 == 0 else reversed(found):
            settle()
            times[name].append(found[name].microseconds(seconds))
        number += 1
        # What takes seconds wavers little.
        if max(values[0] for values in times.values()) > 1e6:
            repetitions = min(repetitions, 3)
    return times


def limits(cell, threads, server):
    """What the processor can do at most, for a cell whose floor is told."""
    if cell.hidden_size < 128:
        return {}
    return {"peak": float(server.ask("peak", threads)[0]),
            "bandwidth": {size: float(server.ask("bandwidth", size, threads)[0])
                          for size in cell.footprints}}


def measure(cell, threads, server, folder, repetitions, seconds):
    """What is found for one cell; the limits of the processor before and after."""
    network = candidates.Network(cell, folder)
    reference = network.reference()
    found = make(network, server, threads)
    try:
        settle()
        before = limits(cell, threads, server)
        errors = {}
        for name, one in found.items():
            outputs = one.outputs(network.inputs).reshape(reference.shape)
            errors[name] = float(np.abs(outputs - reference).max())
        times = repeated(found, repetitions, seconds)
        streams = []
        if cell.steps == 1:
            for _ in range(repetitions):
                settle()
                streams.append(found["strata"].stream_microseconds(seconds))
        settle()
        after = limits(cell, threads, server)
    finally:
        for name in ("strata", "strata_1"):
            server.ask("unload", name)
    row = {name: {"us": statistics.median(times[name]), "error": errors[name],
                  "times_us": times[name]} for name in found}
    # The faster of two ways to call it counts.
    ways = [row.pop("onnxruntime"), row.pop("onnxruntime_bound")]
    row["onnxruntime"] = {**min(ways, key=lambda way: way["us"]),
                          "error": max(way["error"] for way in ways),
                          "run_us": ways[0]["us"], "bound_us": ways[1]["us"]}
    result = {"limits": [before, after]} if before else {}
    if streams:
        result["strata_stream_us"] = statistics.median(streams)
    if threads > 1:
        one = row.pop("strata_1")
        result["strata_one_thread_us"] = one["us"]
        # Each repetition's own ratio: what disturbs one disturbs both.
        result["speed_to_one_thread"] = statistics.median(
            alone / all_ for alone, all_ in zip(one["times_us"], times["strata"]))
    return {**result, "candidates": row}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("server", metavar="RUNTIME-BENCH")
    parser.add_argument("--threads", metavar="N", type=int, required=True)
    parser.add_argument("--cells", metavar="REGEX", type=re.compile, default="")
    parser.add_argument("--repetitions", metavar="N", type=int, required=True)
    parser.add_argument("--seconds", metavar="S", type=float, required=True)
    args = parser.parse_args()
    # What libraries print goes elsewhere.
    rows = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(args.threads)
    gc.disable()
    server = candidates.Server(args.server)
    sets = server.ask("machine")
    print(json.dumps({"versions": candidates.versions(), "kernels": sets[0], "floor": sets[1]}),
          file=rows, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for cell in CELLS:
            if not re.search(args.cells, cell.name):
                continue
            row = {"name": cell.name, "threads": args.threads}
            try:
                row |= measure(cell, args.threads, server, folder, args.repetitions, args.seconds)
            except Exception as error:  # told, and the cell is missing
                row["failure"] = f"{type(error).__name__}: {error}"
            print(json.dumps(row), file=rows, flush=True)
            gc.collect()
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
