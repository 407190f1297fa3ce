"""Adds what was run to the totals, and tells them in Fuzzing.md: python totals.py RUNS

RUNS is what tools/fuzz has written, a line for each run, and begins anew then. The totals stand in
totals.json beside this file.
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from differential.pages import replace_table  # noqa: E402

TOTALS = ROOT / "tools/fuzzing/totals.json"
PAGE = ROOT / "Sources/Checkpoints/Checkpoints.docc/Fuzzing.md"
FACTS = ("executions", "seconds", "findings", "crashes_of_libhdf5")


def table(totals):
    """The totals in Markdown."""
    lines = ["| target | executions | hours | findings |", "| --- | ---: | ---: | ---: |"]
    for target, facts in totals.items():
        lines.append(f"| `{target}` | {facts['executions']:,} | {facts['seconds'] / 3600:.2f} "
                     f"| {facts['findings']} |")
    executions, seconds, findings = (
        sum(facts[name] for facts in totals.values()) for name in FACTS[:3])
    lines.append(f"| all | {executions:,} | {seconds / 3600:.2f} | {findings} |")
    return "\n".join(lines)


def main():
    runs = pathlib.Path(sys.argv[1])
    totals = json.loads(TOTALS.read_text(encoding="utf-8")) if TOTALS.exists() else {}
    for line in runs.read_text().splitlines() if runs.exists() else []:
        target, *counts = line.split("\t")
        facts = totals.setdefault(target, dict.fromkeys(FACTS, 0))
        for name, count in zip(FACTS, counts):
            facts[name] += int(count)
    TOTALS.write_text(json.dumps(totals, indent=1) + "\n", encoding="utf-8")
    replace_table(PAGE, "fuzz", table(totals))
    runs.unlink(missing_ok=True)
    print(table(totals))


if __name__ == "__main__":
    main()
