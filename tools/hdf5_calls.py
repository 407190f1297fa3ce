#!/usr/bin/env python3
"""What system calls the tool makes while it reads malformed HDF5 files, as strace sees them.

The process that parses a file for the tool may open nothing from the moment on at which it looks
at the file, and no process of the tool may ever open a socket of the network, or a file that it was
not named: an attack of the file would be seen here.

usage: hdf5_calls.py STRATA [--every N] [--json FILE]
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What a program of the system opens by itself, before or behind everything else: libraries and what
# they look up when they are loaded.
USUAL = re.compile(r'^"(/lib|/usr/lib|/usr/share|/etc/ld|/etc/ssl|/etc/gcrypt|/etc/krb5|/proc/'
                   r'|/sys/|/dev/null|/etc/localtime|/opt/|/usr/local/)')
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


def foreign(strata, path, directory):
    """The calls that nobody has asked for."""
    log = pathlib.Path(directory, "calls")
    subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,socket,connect,bind,execve,prctl",
         "-e", "signal=none", "-o", str(log), strata, "convert", str(path),
         str(pathlib.Path(directory, "x.strata")), "--force"], capture_output=True, check=False)
    # Where the linker looks for libraries first.
    beside = str(pathlib.Path(strata).resolve().parent) + "/"
    found, confined, ran = [], set(), False
    for line in log.read_text(errors="replace").splitlines():
        match = CALL.match(line)
        if not match:
            continue
        process, call, rest = match.groups()
        if call == "prctl":
            if "PR_SET_SECCOMP" in rest:
                confined.add(process)
        elif call == "execve":
            # The tool, and the tool once more.
            ran = ran or "__h5" in rest
            if strata not in rest and "/proc/self/exe" not in rest:
                found.append(line)
        elif call in ("socket", "connect", "bind"):
            found.append(line)
        else:
            name = rest.split(", ", 1)[1] if call.startswith("openat") else rest
            is_known = (str(path) in name or directory in name or USUAL.match(name)
                        or beside in name and ".so" in name)
            if process in confined or not is_known:
                found.append(line)
    if not ran or not confined:
        found.append("no process was confined")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("strata")
    parser.add_argument("--every", type=int, default=1, help="take one of so many files")
    parser.add_argument("--json")
    args = parser.parse_args()
    paths = [*sorted(ROOT.glob("fixtures/malformed/hdf5/*.h5")),
             *sorted(ROOT.glob("fixtures/hdf5/**/*.h5"))][::args.every]
    # Refused before there is anything to parse.
    paths = [path for path in paths if path.stat().st_size >= 48]
    clean = 0
    with tempfile.TemporaryDirectory() as directory:
        for path in paths:
            calls = foreign(args.strata, path, directory)
            clean += not calls
            for call in calls:
                print(f"{path.name}: {call}")
    print(f"{clean} of {len(paths)} files made the tool open nothing else")
    if args.json:
        entry = {"what": "Malformed HDF5 files that make the tool open no other file and no "
                         "socket, as strace sees it",
                 "tried": len(paths), "survived": clean, "note": ""}
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump([entry], file, indent=1)
    return 0 if clean == len(paths) else 1


if __name__ == "__main__":
    sys.exit(main())
