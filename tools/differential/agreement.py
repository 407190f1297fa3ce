#!/usr/bin/env python3
"""Strata's readers beside the reference readers on thousands of damaged files: do they agree?

    python tools/differential/agreement.py PROBE STRATA [--quick] [--count N] [--seed N]
        [--only FORMAT] [--without FORMAT] [--keep FOLDER] [--output FOLDER] [--page FILE]

Files are made from small sound ones (seeds.py) by damage to any byte and, with checksums made
right again, to what the format says (mutations.py). Both readers accept or refuse each; what
both accept must be the same tensors, bit for bit. A difference that differences.py does not
explain is a failure; --keep writes those files down.
"""

import argparse
import collections
import hashlib
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from differential import differences, mutations, seeds  # noqa: E402
from differential.reader import Strata, reference  # noqa: E402

COUNT, QUICK = 20_000, 400
"""Files for each format."""


def files(form, sounds, seed, count):
    """(what was done, bytes) of damaged files."""
    names = list(sounds)
    for index in range(count):
        dice = random.Random(f"agreement/{form}/{seed}/{index}")
        change = dice.choice(mutations.KINDS[form])
        data = sounds[dice.choice(names)]
        yield f"{index}: {change.__name__}", change(dice, data, sounds[dice.choice(names)])


def verdict(ours, theirs):
    """How two answers compare."""
    if ours.died:
        return f"Strata {ours.fault}"
    if theirs.died:
        return "the reference reader died" if not ours.accepts else "only Strata reads"
    if ours.accepts and theirs.accepts:
        return "same" if ours.tensors == theirs.tensors else "other tensors"
    if ours.accepts:
        return "only Strata reads"
    return "only the reference reads" if theirs.accepts else "both refuse"


AGREED = ("same", "both refuse", "the reference reader died")


def compare(form, args, probe, tool):
    """Counts of verdicts, counts of explained differences, and the unexplained ones."""
    ours, theirs = Strata(probe, tool), reference(form)
    verdicts, explained, unexplained = collections.Counter(), collections.Counter(), []
    for what, data in files(form, seeds.FORMATS[form](), args.seed, args.count):
        mine, other = ours.ask(data), theirs.ask(data)
        said = verdict(mine, other)
        verdicts[said] += 1
        if said in AGREED:
            continue
        reason = differences.explain(form, said, mine, other)
        if reason:
            explained[(said, reason)] += 1
        else:
            unexplained.append((said, what, mine, other, data))
    ours.close()
    theirs.close()
    return verdicts, explained, unexplained


def shown(answer):
    """An answer in one line."""
    if not answer.accepts:
        return f"{answer.fault}: {answer.reason[:150]}"
    return ", ".join(f"{bytes.fromhex(name)!r} {dtype} {shape} {data[:24]}"
                     for name, (dtype, shape, data) in answer.tensors.items())[:300]


def tables(results, versions):
    """What was found, and why the readers differ, in Markdown."""
    lines = ["| format | reference reader | files | same tensors | both refuse | reference died "
             "| explained differences | unexplained |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for form, (verdicts, explained, unexplained) in results.items():
        lines.append(f"| {form} | {versions[form]} | {sum(verdicts.values()):,} | "
                     + " | ".join(f"{verdicts[said]:,}" for said in AGREED)
                     + f" | {sum(explained.values()):,} | {len(unexplained):,} |")
    lines += ["", "| format | difference | files | why |", "| --- | --- | ---: | --- |"]
    for form, (_, explained, _) in results.items():
        for (said, reason), count in sorted(explained.items(), key=lambda item: -item[1]):
            lines.append(f"| {form} | {said} | {count:,} | {reason} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("probe")
    parser.add_argument("strata")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", choices=list(seeds.FORMATS))
    parser.add_argument("--without", choices=list(seeds.FORMATS))
    parser.add_argument("--keep", metavar="FOLDER")
    parser.add_argument("--output", default=".build/trust")
    parser.add_argument("--page", metavar="FILE", help="write the tables into this page of DocC")
    args = parser.parse_args()
    args.count = args.count or (QUICK if args.quick else COUNT)
    print(f"seed {args.seed}, {args.count:,} files of each format")
    versions, results, entries = {}, {}, []
    for form in [args.only] if args.only else seeds.FORMATS:
        if form == args.without:
            continue
        versions[form] = seeds.version(form)
        results[form] = compare(form, args, args.probe, args.strata)
        verdicts, explained, unexplained = results[form]
        print(form, dict(verdicts), f"unexplained: {len(unexplained)}", flush=True)
        for said, what, mine, other, data in unexplained:
            print(f"  {said} ({what})\n    Strata: {shown(mine)}\n    reference: {shown(other)}")
            if args.keep:
                os.makedirs(args.keep, exist_ok=True)
                name = hashlib.sha256(data).hexdigest()[:12]
                with open(os.path.join(args.keep, f"{form}-{name}"), "wb") as file:
                    file.write(data)
        tried = sum(verdicts.values())
        entries.append({
            "what": f"Damaged {form} files on which Strata and {versions[form]} agree, or "
                    "differ as documented", "tried": tried, "survived": tried - len(unexplained),
            "note": f"{verdicts['same']:,} same tensors, {verdicts['both refuse']:,} refused by "
                    f"both, {sum(explained.values()):,} documented differences"})
    os.makedirs(args.output, exist_ok=True)
    with open(os.path.join(args.output, "agreement.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=1)
    if args.page:
        from differential.pages import replace_table
        replace_table(args.page, "agreement", tables(results, versions))
    return 1 if any(unexplained for _, _, unexplained in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
