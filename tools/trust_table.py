#!/usr/bin/env python3
"""The table "What was tried, what survived", from the counts that the scripts of tools/trust.d
wrote.

    python tools/trust_table.py [--quick]

The counts stand in .build/trust/<script>.json: [{"what", "tried", "survived", "note"}]. The
table goes into README.md and Trust.md between their markers, once there are counts of every
script; with --quick it is only printed. Exit status 1 when not everything survived.
"""

import json
import os
import pathlib
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from differential.pages import replace_table  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ("README.md", "Sources/Checkpoints/Checkpoints.docc/Trust.md")


def entries():
    """All counts, script by script."""
    found = []
    for path in sorted((ROOT / ".build/trust").glob("*.json")):
        found += json.loads(path.read_text(encoding="utf-8"))
    return found


def table(rows):
    """The counts in Markdown."""
    lines = ["| what was tried | tried | survived | |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {row['what']} | {row['tried']:,} | {row['survived']:,} | {row['note']} |"
              for row in rows]
    return "\n".join(lines)


def main():
    rows = entries()
    if not rows:
        print("no counts: run tools/trust", file=sys.stderr)
        return 1
    print(table(rows))
    if "--quick" not in sys.argv[1:]:
        missing = [script.name for script in sorted((ROOT / "tools/trust.d").iterdir())
                   if not (ROOT / f".build/trust/{script.name}.json").exists()]
        if missing:
            print(f"no counts yet of {', '.join(missing)}: the pages stay as they are",
                  file=sys.stderr)
        for page in () if missing else PAGES:
            replace_table(ROOT / page, "trust", table(rows))
    return 0 if all(row["tried"] == row["survived"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
