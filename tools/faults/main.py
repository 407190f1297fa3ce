"""Runs the fault tests: main.py STRATA BUILD_DIRECTORY RESULTS.json [--quick] [--only NAME,…]."""

import json
import sys
import time
from pathlib import Path

import changes
import injected
import killed
import limits
import powerloss
import races
from bench import Faults

PARTS = {
    "injected": injected.injected, "killed": killed.at_every_call,
    "moments": killed.at_random_moments, "disk": limits.full_disk, "sizes": limits.file_sizes,
    "memory": limits.memory, "power": powerloss.power_loss, "changes": changes.changes,
    "races": races.races}


def main():
    strata, build, results = sys.argv[1:4]
    names = list(PARTS)
    if "--only" in sys.argv:
        names = sys.argv[sys.argv.index("--only") + 1].split(",")
    faults = Faults(strata, build, quick="--quick" in sys.argv)
    try:
        for name in names:
            start = time.monotonic()
            PARTS[name](faults)
            print(f"   {name}: {time.monotonic() - start:.0f} s", flush=True)
            Path(results).write_text(json.dumps(faults.results, indent=2) + "\n")
    finally:
        faults.close()
    sys.exit(any(result["survived"] < result["tried"] for result in faults.results))


main()
