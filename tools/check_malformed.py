#!/usr/bin/env python3
"""Every file of fixtures/malformed through the tool: exit status, code, message, time, memory,
and what it opened.

    python tools/check_malformed.py STRATA [--trace] [--output FOLDER]

Each file is converted and inspected in an empty directory. A refusal is exit status 2 with the
code that the manifest announces, one line on standard error that names the file, no output, at
most a second, and at most 64 MiB resident (ru_maxrss of the process and of those that it
starts). --trace asks strace instead which files and sockets a run opens: none but its input's
directory, its own and the system's libraries.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIXTURES = os.path.join(ROOT, "fixtures", "malformed")
SECONDS, MEMORY = 1, 64 << 20
ODD = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What must never reach a terminal."""
SYSTEM = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/usr/local/lib/", "/etc/ld.so.",
          "/dev/null", "/dev/urandom", "/dev/fd/", "/proc/self/", "/proc/sys/", "/proc/stat",
          "/proc/meminfo", "/proc/cpuinfo", "/proc/cgroups", "/sys/devices/system/cpu",
          "/sys/fs/cgroup", "/sys/kernel/")


def run(command, folder):
    """(status, standard output, standard error, seconds, peak bytes) of a process."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return process.returncode, *texts, seconds, peak


def faults(strata, path, entry):
    """What is wrong with how the tool takes a file, in words, and (seconds, bytes) of the worst
    run."""
    is_accepted = entry["code"] == "accepted"
    found, worst = [], (0, 0)
    options = ["--reject-nonfinite"] if entry.get("fault") == "nonfinite" else []
    for command in (["convert", path, "x.strata", *options], ["inspect", path],
                    ["inspect", path, "--stats"]):
        for output in ([], ["--json"]):
            with tempfile.TemporaryDirectory() as folder:
                status, said, errors, seconds, peak = run([strata, *command, *output], folder)
                left = os.listdir(folder)
            worst = (max(worst[0], seconds), max(worst[1], peak))
            what = " ".join([command[0], *output])
            # What is the fault of one tensor, the model or numbers need not keep it from being
            # inspected.
            must_fail = not is_accepted and (command[0] == "convert" or entry["fault"] == "file")
            if status not in ((2,) if must_fail else (0,) if is_accepted else (0, 2)):
                found.append(f"{what}: status {status}: {errors or said}")
            if status == 2:
                if left:
                    found.append(f"{what}: left {left}")
                place = os.path.dirname(path)
                if errors.count("\n") != 1 or not errors.startswith(f"error: {place}"):
                    found.append(f"{what}: said {errors!r}")
                if output:
                    error = json.loads(said)["error"]
                    if error["code"] != entry["code"]:
                        found.append(f"{what}: code of {said!r}, not {entry['code']}")
                    if entry.get("tensor") and error["tensor"] != entry["tensor"]:
                        found.append(f"{what}: tensor of {said!r}, not {entry['tensor']}")
            if ODD.search(errors) or not output and ODD.search(said):
                found.append(f"{what}: characters that steer a terminal")
            if output:
                json.loads(said)
    if entry["row"] == "N17":
        found += steering(strata, path)
    if worst[0] > SECONDS:
        found.append(f"{worst[0]:.2f} s")
    if worst[1] > MEMORY:
        found.append(f"{worst[1] >> 20} MiB")
    return found, worst


def steering(strata, path):
    """Where a name of a sound file reaches the terminal as it is."""
    found, other = [], os.path.join(FIXTURES, "strata", "accepted.plain.strata")
    for command in (["convert", path, "x.h5"], ["diff", path, other], ["diff", other, path],
                    ["verify", path, path], ["bench", path],
                    ["run", path, "--input", path, "--output", "x.npz"]):
        with tempfile.TemporaryDirectory() as folder:
            _, said, errors, _, _ = run([strata, *command], folder)
            if ODD.search(said + errors):
                found.append(f"{command[0]}: characters that steer a terminal: {said + errors!r}")
            _, said, _, _, _ = run([strata, *command, "--json"], folder)
            json.loads(said)
    return found


def foreign(strata, path, _):
    """Files and sockets that a run opened and had no business with."""
    found = []
    # Where the linker looks for libraries first.
    beside = os.path.dirname(os.path.realpath(strata)) + os.sep
    for command in (["convert", path, "x.strata"], ["inspect", path, "--stats"]):
        with tempfile.TemporaryDirectory() as folder:
            trace = os.path.join(folder, "trace")
            subprocess.run(["strace", "-f", "-qq", "-e",
                            "trace=%network,open,openat,openat2,creat,execve",
                            "-o", trace, strata, *command], cwd=folder, check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with open(trace, encoding="utf-8", errors="replace") as file:
                for line in file:
                    call = re.match(r'(?:\d+ +)?(\w+)\((?:\w+, )?"?([^"]*)"?', line)
                    if not call or "resumed>" in line:
                        continue
                    name, place = call.groups()
                    if name == "execve":
                        allowed = place in (strata, "/proc/self/exe")
                    elif name in ("open", "openat", "openat2", "creat"):
                        here = os.path.normpath(os.path.join(folder, place))
                        allowed = here.startswith((os.path.dirname(path), folder)) \
                            or here == os.path.dirname(os.path.dirname(path)) \
                            or here.startswith(SYSTEM) \
                            or here.startswith(beside) and ".so" in here
                    else:
                        # A pair of pipes between a process and its own helper leads nowhere else.
                        allowed = name in ("socketpair", "setsockopt", "shutdown", "sendmsg",
                                           "recvmsg", "sendto", "recvfrom") \
                            and "AF_INET" not in line
                    if not allowed:
                        found.append(line.strip())
    return found, (0, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("strata")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--output", default=".build/trust")
    args = parser.parse_args()
    strata = os.path.abspath(args.strata)
    with open(os.path.join(FIXTURES, "manifest.json"), encoding="utf-8") as file:
        files = json.load(file)["files"]
    counts, worst = collections.defaultdict(lambda: [0, 0]), (0, 0)
    for name, entry in sorted(files.items()):
        path = os.path.join(FIXTURES, name)
        found, most = (foreign if args.trace else faults)(strata, path, entry)
        for line in found:
            print(f"{name}: {line}", flush=True)
        worst = (max(worst[0], most[0]), max(worst[1], most[1]))
        key = "traced" if args.trace else (name.split("/")[0], entry["code"] == "accepted")
        counts[key][0] += 1
        counts[key][1] += not found
    entries = []
    for key, (tried, survived) in sorted(counts.items(), key=str):
        if args.trace:
            what = "Malformed and odd files converted and inspected without opening a file " \
                "outside of the input's directory, a socket, or another program"
        else:
            what = f"Odd but sound {key[0]} files read" if key[1] else \
                f"Malformed {key[0]} files refused with their named error"
        entries.append({"what": what, "tried": tried, "survived": survived, "note": ""})
    if not args.trace:
        entries[0]["note"] = (f"slowest run of all {worst[0]:.2f} s, "
                              f"largest {worst[1] / 2**20:.0f} MiB")
    os.makedirs(args.output, exist_ok=True)
    target = os.path.join(args.output, "foreign_opens.json" if args.trace else "malformed.json")
    with open(target, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=1)
    for entry in entries:
        print(f"{entry['what']}: {entry['survived']:,} of {entry['tried']:,} {entry['note']}")
    return 0 if all(entry["tried"] == entry["survived"] for entry in entries) else 1


if __name__ == "__main__":
    sys.exit(main())
