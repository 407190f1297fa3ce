#!/usr/bin/env python3
"""Does `strata verify` say why numbers differ?

    python tools/diagnosis/main.py STRATA [--quick] [--only WAY] [--page FILE] [--json FILE]

Models wrong in one way, or in a common pair of ways: the setting that `verify` names must be the
one that cures them, and the file converted with it must verify. Right models must pass, and the
same with other weights must be accused of nothing. Faults planted at one gate of one step must be
found there. --quick takes a tenth.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors.numpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from cases import WAYS, Case, Planted, applies  # noqa: E402
from differential.pages import replace_table  # noqa: E402


class Tool:
    """The executable, in a folder of its own."""

    def __init__(self, strata, folder):
        self.strata, self.folder = strata, folder

    def write(self, case):
        folder = pathlib.Path(self.folder)
        safetensors.numpy.save_file(case.file, folder / "model.safetensors")
        numpy.savez(folder / "golden.npz", **case.golden)

    def run(self, *arguments):
        done = subprocess.run([self.strata, *arguments, "--json"], cwd=self.folder, check=False,
                              capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout or "{}")

    def verify(self):
        return self.run("verify", "model.safetensors", "golden.npz")

    def verify_converted(self, settings):
        """Whether the file converted with settings verifies, its golden sealed in."""
        options = [part for setting in settings for part in ("--set", setting)]
        status, report = self.run("convert", "model.safetensors", "model.strata", "--force",
                                  "--golden", "golden.npz", *options)
        if status == 0:
            status, report = self.run("verify", "model.strata")
        return status == 0, report


def same(settings, expected):
    """Whether settings say the same, numbers as numbers."""
    def key(setting):
        name, value = setting.split("=")
        try:
            return name, float(value)
        except ValueError:
            return name, value
    return sorted(map(key, settings)) == sorted(map(key, expected))


def convention(strata, way, kind, layers, directions, seed):
    """(named, verified, what was wrong) of one case."""
    with tempfile.TemporaryDirectory() as folder:
        tool, case = Tool(strata, folder), Case(way, kind, layers, directions, seed)
        tool.write(case)
        where = f"{way} {kind} layers {layers} directions {directions} seed {seed}"
        status, report = tool.verify()
        named = report.get("diagnosis", {}).get("conventions", [])
        if status != 1 or not same(named, case.settings):
            return False, False, f"{where}: {case.settings}, named {named} ({status}, " \
                f"{report.get('error', {}).get('reason', '')})"
        if "bias=merged" in case.settings:
            return True, None, ""
        is_verified, report = tool.verify_converted(case.settings)
        return True, is_verified, "" if is_verified else f"{where}: not verified: {report}"


def right(strata, seed):
    """(passes, is accused of nothing, what was wrong): a right model, and its golden made wrong."""
    rng = numpy.random.default_rng(seed)
    kind, layers, directions = str(rng.choice(["rnn", "lstm", "gru"])), int(rng.integers(1, 4)), \
        int(rng.integers(1, 3))
    with tempfile.TemporaryDirectory() as folder:
        tool, case = Tool(strata, folder), Case("", kind, layers, directions, seed)
        tool.write(case)
        status, report = tool.verify()
        passes = status == 0 and report.get("diagnosis") is None
        # Weights that were trained on meanwhile.
        for name, value in case.file.items():
            case.file[name] = value + rng.normal(0, 0.02, value.shape).astype("float32")
        tool.write(case)
        status, report = tool.verify()
        named = report.get("diagnosis", {}).get("conventions")
        spared = status == 1 and named == []
        words = "" if passes and spared else f"right model, seed {seed}: {status} {named}"
        return passes, spared, words


def planted(strata, seed):
    """(found, what was wrong) of one planted fault."""
    with tempfile.TemporaryDirectory() as folder:
        tool, case = Tool(strata, folder), Planted(seed)
        tool.write(case)
        _, report = tool.verify()
        found = (report.get("diagnosis") or {}).get("first_divergence") or {}
        found = {key: found.get(key) for key in case.place}
        return found == case.place, "" if found == case.place \
            else f"planted, seed {seed}: {case.place}, found {found}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("strata")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--page")
    parser.add_argument("--json")
    args = parser.parse_args()
    strata = os.path.abspath(args.strata)
    seeds, rights, faults = (2, 20, 40) if args.quick else (20, 200, 400)

    rows, failures = [], []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = collections.OrderedDict()
        for way in WAYS if not args.only else [args.only]:
            waiting[way] = [
                pool.submit(convention, strata, way, kind, layers, directions, seed)
                for kind in WAYS[way] for layers in (1, 3) for directions in (1, 2)
                if applies(way, kind, layers, directions) for seed in range(seeds)]
        others = [] if args.only else [pool.submit(right, strata, seed) for seed in range(rights)]
        places = [] if args.only else [pool.submit(planted, strata, seed) for seed in range(faults)]
        for way, jobs in waiting.items():
            done = [job.result() for job in jobs]
            failures += [words for _, _, words in done if words]
            cured = [verified for _, verified, _ in done]
            undone = "cannot be undone" if "bias=merged" in way \
                else f"{sum(map(bool, cured)):,} of {len(cured):,}"
            rows.append((way, f"{len(done):,}", f"{sum(named for named, _, _ in done):,}", undone))
            print(" | ".join(rows[-1]), flush=True)
        done = [job.result() for job in others]
        if done:
            failures += [words for _, _, words in done if words]
            rows.append(("right models: nothing to name", f"{len(done):,}",
                         f"{sum(passes for passes, _, _ in done):,}", ""))
            rows.append(("the same with other weights: nothing named", f"{len(done):,}",
                         f"{sum(spared for _, spared, _ in done):,}", ""))
        done = [job.result() for job in places]
        if done:
            failures += [words for _, words in done if words]
            rows.append(("a fault planted at one gate of one step: found there", f"{len(done):,}",
                         f"{sum(found for found, _ in done):,}", ""))

    lines = ["| what was wrong | models | named | verified when converted |",
             "| --- | ---: | ---: | ---: |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    print("\n" + "\n".join(lines))
    for words in failures[:40]:
        print(words, file=sys.stderr)
    if len(failures) > 40:
        print(f"and {len(failures) - 40} more", file=sys.stderr)
    if args.page:
        replace_table(pathlib.Path(args.page), "diagnosis", "\n".join(lines))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
