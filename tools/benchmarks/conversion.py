#!/usr/bin/env python3
"""How long a large .pt takes: to look at, to convert, by hand, and the way through Python.

torch makes a state dict of an LSTM, 2 GB by default. Then these are measured in turn, each in a
process of its own, several rounds, and the medians are told with the largest resident memory:

    inspect   strata inspect
    convert   strata convert to .strata (which writes, syncs, reads back and compares)
    copy      by hand: cp, fsync, and one reading of the copy
    hdf5      torch.load, then every tensor written with h5py
    tensors   torch.load, then safetensors.torch.save_file

    python tools/benchmarks/conversion.py .build/release/strata [--json result.json]

Every measurement begins with the input in the cache and with nothing left to be written. Exit
status 1 where a goal is missed: inspect under 50 ms and 64 MB, convert under 200 MB and at least
0.6 times as fast as the copy by hand. Needs torch, h5py and safetensors.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

GOALS = {"inspect_seconds": 0.05, "inspect_bytes": 64e6, "convert_bytes": 200e6,
         "speed_to_copy": 0.6}
BLOCK = 1 << 22

MAKE = """
import sys, torch
path, count, hidden = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
generator = torch.Generator().manual_seed(1)
state = {}
for layer in range(count):
    for name in ("weight_ih", "weight_hh"):
        state[f"{name}_l{layer}"] = torch.rand(4 * hidden, hidden, generator=generator) - 0.5
    for name in ("bias_ih", "bias_hh"):
        state[f"{name}_l{layer}"] = torch.rand(4 * hidden, generator=generator) - 0.5
torch.save(state, path)
"""

HDF5 = """
import sys, h5py, torch
state = torch.load(sys.argv[1], weights_only=True)
with h5py.File(sys.argv[2], "w") as file:
    for name, tensor in state.items():
        file.create_dataset(name, data=tensor.numpy())
"""

TENSORS = """
import sys, torch
from safetensors.torch import save_file
save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])
"""

VERSIONS = """
import json, platform, torch, h5py, safetensors
print(json.dumps({"python": platform.python_version(), "torch": torch.__version__,
                  "h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version,
                  "safetensors": safetensors.__version__}))
"""


def measured(*command):
    """(seconds, largest resident bytes, seconds of processor) of a command.

    This process stays small, because a child's figure begins with its parent's memory.
    """
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command[:3])}: exit status {child.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * scale, usage.ru_utime + usage.ru_stime


def copy(source, target):
    """By hand: cp, fsync, one reading. The parts are told too."""
    begin, before = time.perf_counter(), os.times()
    subprocess.run(["cp", source, target], check=True)
    copied = time.perf_counter()
    descriptor = os.open(target, os.O_RDWR)
    os.fsync(descriptor)
    synced = time.perf_counter()
    buffer = bytearray(BLOCK)
    while os.readv(descriptor, [buffer]):
        pass
    os.close(descriptor)
    end, after = time.perf_counter(), os.times()
    work = sum(after[:4]) - sum(before[:4])
    return end - begin, 0, work, {"cp": copied - begin, "fsync": synced - copied,
                                  "read": end - synced}


def warm(path):
    """Read a file once, so that it is in the cache."""
    with open(path, "rb", buffering=0) as file:
        while file.read(BLOCK):
            pass


def machine():
    """What this is measured on."""
    model = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":")[1].strip() for line in file
                          if line.startswith("model name")), model)
    return {"processor": model, "cores": os.cpu_count(), "system": platform.platform()}


def measure(strata, folder, rounds, layers, hidden):
    """The figures of every way, by its name."""
    source = os.path.join(folder, "model.pt")
    subprocess.run([sys.executable, "-c", MAKE, source, str(layers), str(hidden)], check=True)
    ways = {
        "inspect": lambda to: measured(strata, "inspect", source),
        "convert": lambda to: measured(strata, "convert", source, to + ".strata", "--quiet"),
        "copy": lambda to: copy(source, to),
        "hdf5": lambda to: measured(sys.executable, "-c", HDF5, source, to + ".h5"),
        "tensors": lambda to: measured(sys.executable, "-c", TENSORS, source, to + ".st"),
    }
    found = {way: [] for way in ways}
    for number in range(rounds):
        order = list(ways) if number % 2 == 0 else list(reversed(ways))
        for way in order:
            scratch = os.path.join(folder, "scratch")
            shutil.rmtree(scratch, ignore_errors=True)
            os.mkdir(scratch)
            os.sync()
            warm(source)
            found[way].append(ways[way](os.path.join(scratch, "result")))
    size = os.path.getsize(source)
    result = {"bytes": size}
    for way, rows in found.items():
        result[way] = {"seconds": statistics.median(row[0] for row in rows),
                       "fastest": min(row[0] for row in rows),
                       "resident_bytes": max(row[1] for row in rows),
                       "processor_seconds": statistics.median(row[2] for row in rows)}
        for part in rows[0][3] if len(rows[0]) > 3 else ():
            result[way][part] = statistics.median(row[3][part] for row in rows)
    # Each round's own ratio: what disturbs one round disturbs both.
    result["speed_to_copy"] = statistics.median(
        by_hand[0] / ours[0] for by_hand, ours in zip(found["copy"], found["convert"]))
    return result


def missed(result):
    """The goals that are not reached, in words."""
    reached = {
        "inspect_seconds": result["inspect"]["seconds"] < GOALS["inspect_seconds"],
        "inspect_bytes": result["inspect"]["resident_bytes"] < GOALS["inspect_bytes"],
        "convert_bytes": result["convert"]["resident_bytes"] < GOALS["convert_bytes"],
        "speed_to_copy": result["speed_to_copy"] >= GOALS["speed_to_copy"],
    }
    return [f"{goal}: {GOALS[goal]:g}" for goal, is_reached in reached.items() if not is_reached]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("strata", metavar="STRATA", help="the executable, a release build")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="default 5")
    parser.add_argument("--layers", metavar="N", type=int, default=4, help="default 4")
    parser.add_argument("--hidden", metavar="N", type=int, default=4096,
                        help="default 4096: with 4 layers 2.1 GB")
    parser.add_argument("--folder", metavar="FOLDER", default=".build/conversion",
                        help="where the files go, 7 GB of them; default .build/conversion")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    try:
        result = measure(os.path.abspath(args.strata), args.folder, args.rounds, args.layers,
                         args.hidden)
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)
    versions = subprocess.run([sys.executable, "-c", VERSIONS], capture_output=True, text=True)
    result = {"machine": machine(), "versions": json.loads(versions.stdout), "rounds": args.rounds,
              **result}
    place = result["machine"]
    print(f"{place['processor']}, {place['cores']} cores, {place['system']}")
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    print(f"{result['bytes'] / 1e9:.2f} GB, medians of {args.rounds} rounds")
    print(f"{'':8}  {'seconds':>8}  {'GB/s':>6}  {'processor':>9}  {'resident':>9}")
    for way in ("inspect", "convert", "copy", "hdf5", "tensors"):
        row = result[way]
        speed = "" if way == "inspect" else f"{result['bytes'] / 1e9 / row['seconds']:.2f}"
        memory = f"{row['resident_bytes'] / 1e6:.0f} MB" if row["resident_bytes"] else ""
        print(f"{way:8}  {row['seconds']:8.3f}  {speed:>6}  {row['processor_seconds']:9.3f}  "
              f"{memory:>9}")
    parts = ", ".join(f"{part} {result['copy'][part]:.3f}" for part in ("cp", "fsync", "read"))
    print(f"copy is {parts}")
    print(f"convert has {result['speed_to_copy']:.2f} times the copy's speed")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    failed = missed(result)
    for goal in failed:
        print(f"missed: {goal}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
