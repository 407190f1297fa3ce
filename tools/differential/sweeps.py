#!/usr/bin/env python3
"""Every flipped bit and every truncation of small files, by Strata's reader and by the reference
reader.

    python tools/differential/sweeps.py PROBE STRATA [--quick] [--without FORMAT] [--output FOLDER]
        [--page FILE]

A file counts as rejected when an error comes of it, as harmless when the same tensors come of
it, and as silently wrong when others do. What a format does not protect no reader can notice:
only of .strata every damage has to be refused; of the other formats the table tells how many
are. --quick flips one bit of each byte in the other formats.
"""

import argparse
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from differential import seeds  # noqa: E402
from differential.reader import Strata, reference  # noqa: E402

KINDS = ("rejected", "harmless", "silently wrong", "crashed or hung")


def flips(data, is_quick):
    """The file with one bit flipped, for each of them; in short form one bit of each byte."""
    for place in range(len(data)):
        for bit in (place % 8,) if is_quick else range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            yield bytes(flipped)


def truncations(data, _):
    """Every beginning of the file but the whole."""
    for length in range(len(data)):
        yield data[:length]


def judged(answer, sound):
    """What an answer for a damaged file is."""
    if answer.died:
        return "crashed or hung"
    if not answer.accepts:
        return "rejected"
    return "harmless" if answer.tensors == sound.tensors else "silently wrong"


def sweep(reader, data, damage, is_quick):
    """How many damaged files were judged how."""
    sound = reader.ask(data)
    if not sound.accepts:
        raise SystemExit(f"{reader.command}: the sound file is refused: {sound}")
    counts = dict.fromkeys(KINDS, 0)
    for damaged in damage(data, is_quick):
        counts[judged(reader.ask(damaged), sound)] += 1
    return counts


def measure(probe, tool, is_quick, without):
    """A row for each format, file, damage and reader."""
    for form, make in seeds.FORMATS.items():
        if form == without:
            continue
        ours, theirs = Strata(probe, tool), reference(form)
        # Two files of each format tell enough.
        for name, data in list(make().items())[:2]:
            for what, damage in (("bit flips", flips), ("truncations", truncations)):
                for reader, title in ((ours, "Strata"), (theirs, seeds.version(form))):
                    begin = time.monotonic()
                    counts = sweep(reader, data, damage, is_quick and form != "strata")
                    yield {"format": form, "file": name, "bytes": len(data), "damage": what,
                           "reader": title, **counts}
                    print(f"{form}, {name}, {what}, {title}: {counts} "
                          f"({time.monotonic() - begin:.1f} s)", file=sys.stderr, flush=True)
        ours.close()
        theirs.close()


def table(rows):
    """The rows in Markdown."""
    lines = ["| format | file | damage | reader | tried | rejected | harmless | silently wrong "
             "| crashed or hung |", "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        tried = sum(row[kind] for kind in KINDS)
        lines.append(f"| {row['format']} | {row['file']}, {row['bytes']:,} bytes | {row['damage']} "
                     f"| {row['reader']} | {tried:,} | "
                     + " | ".join(f"{row[kind]:,}" for kind in KINDS) + " |")
    return "\n".join(lines)


def summary(rows):
    """What tools/trust tells: of .strata what was refused, of the others what our reader
    survived."""
    found = {}
    for row in rows:
        if row["reader"] != "Strata":
            continue
        tried = sum(row[kind] for kind in KINDS)
        is_own = row["format"] == "strata"
        key = (row["format"], row["damage"])
        entry = found.setdefault(key, {
            "what": ("Every one of the " if is_own else "The ") + row["damage"]
                    + f" of small {row['format']} files" + (" refused" if is_own else ""),
            "tried": 0, "survived": 0, "note": "", **dict.fromkeys(KINDS, 0)})
        entry["tried"] += tried
        entry["survived"] += row["rejected"] if is_own else tried - row["crashed or hung"]
        for kind in KINDS:
            entry[kind] += row[kind]
    for (form, _), entry in found.items():
        counts = {kind: entry.pop(kind) for kind in KINDS}
        if form != "strata":
            entry["note"] = ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS[:3]) \
                + "; the format protects no more"
    return list(found.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("probe")
    parser.add_argument("strata")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--without", choices=list(seeds.FORMATS))
    parser.add_argument("--output", default=".build/trust")
    parser.add_argument("--page", metavar="FILE", help="write the table into this page of DocC")
    args = parser.parse_args()
    rows = list(measure(args.probe, args.strata, args.quick, args.without))
    os.makedirs(args.output, exist_ok=True)
    entries = summary(rows)
    with open(os.path.join(args.output, "sweeps.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=1)
    print(table(rows))
    if args.page:
        from differential.pages import replace_table
        replace_table(args.page, "sweeps", table(rows))
    return 0 if all(entry["tried"] == entry["survived"] for entry in entries) else 1


if __name__ == "__main__":
    sys.exit(main())
