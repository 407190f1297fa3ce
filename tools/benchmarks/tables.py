"""The result of the benchmark in words: tables and lists, for a terminal and as Markdown."""

import dataclasses

from goals import (BY_NAME, CANDIDATES, complete, geometric_mean, goals, ratio,
                   ratio_to_onnxruntime, share_of_floor)
from worklist import CELLS, KINDS, THREADS

NAMES = {"strata": "Strata", "pytorch": "PyTorch", "onnxruntime": "ONNX Runtime",
         "openvino": "OpenVINO"}


@dataclasses.dataclass
class Table:
    """Rows of text; the first column stands to the left, the others to the right."""

    title: str
    header: list
    rows: list

    def plain(self):
        lines = [self.header] + self.rows
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        text = [self.title]
        for line in lines:
            rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))
            text.append("  ".join([line[0].ljust(widths[0]), *rest]).rstrip())
        return "\n".join(text) + "\n"

    def markdown(self):
        rule = ["---"] + ["---:"] * (len(self.header) - 1)
        lines = [self.header, rule] + self.rows
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value):
    """Three digits that count, and thousands set apart."""
    if value is None:
        return ""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def with_threads(threads):
    return f"{threads} thread{'s' if threads > 1 else ''}"


def overview(result):
    """For each work the ratios of every kind and number of threads."""
    ratios = {(row["name"], row["threads"]): ratio(row) for row in complete(result)}
    works = list(dict.fromkeys(cell.work for cell in CELLS))
    columns = [(kind, threads) for kind in KINDS for threads in THREADS]
    lines = [[work] + [number(ratios.get((f"{kind} {work}", threads)))
                       for kind, threads in columns] for work in works]
    return Table(
        "How many times as fast as the fastest of PyTorch, ONNX Runtime and OpenVINO",
        ["steps T, batch N, input I, hidden H, layers L"]
        + [f"{kind.upper()}, {with_threads(threads)}" for kind, threads in columns],
        [line for line in lines if any(line[1:])])


def streaming(result):
    """RTNeural's ratios to ONNX Runtime beside Strata's."""
    lines = [[row["name"], number(ratio_to_onnxruntime(row)), f"{known:g}"]
             for row in complete(result)
             if (known := BY_NAME[row["name"]].rtneural) and row["threads"] == 1]
    return Table("How many times as fast as ONNX Runtime, 1 thread",
                 ["one step of a stream, with a dense head", "Strata",
                  "RTNeural, measured elsewhere"], lines)


def full(result, threads):
    """Everything that was measured with a number of threads."""
    lines = []
    for row in complete(result):
        if row["threads"] != threads:
            continue
        found = row["candidates"]
        share = share_of_floor(row) if BY_NAME[row["name"]].goal_of_floor else None
        lines.append(
            [row["name"]] + [number(found[one]["us"]) for one in CANDIDATES]
            + [number(ratio(row)), "" if share is None else f"{share:.0%}"]
            + [f"{found[one]['error']:.1e}" for one in CANDIDATES[:2]])
        if threads > 1:
            lines[-1].append(f"{row['speed_to_one_thread']:.2f}")
    return Table(
        f"Microseconds of a call, {with_threads(threads)}",
        ["network"] + [NAMES[one] for one in CANDIDATES]
        + ["ratio", "of the floor", "error", "PyTorch's"]
        + (["to 1 thread"] if threads > 1 else []), lines)


def facts(result):
    """What it was measured on, and how."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    peaks = "; ".join(
        f"{with_threads(int(threads))} {peak / 1e9:.0f} GFLOP/s"
        for threads, peak in result["peaks"].items())
    return [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"kernels for {machine['instruction_set']}; {versions}.",
        f"Medians of {result['repetitions']} repetitions, float32 at full precision, every call "
        "from a zero state, candidates in turn in one run; ONNX Runtime is the faster of run and "
        "io binding; the peers are called from Python.",
    ] + ([f"Arithmetic peak, measured ({machine['floor_instruction_set']}): {peaks}."]
         if peaks else [])


def summary(result):
    """The mean, and each goal met or missed."""
    mean = geometric_mean(result)
    lines = [f"Geometric mean of the ratios: {mean:.2f}"] if mean else []
    return lines + [goal.words for goal in goals(result)]


def plain(result):
    """The whole result for a terminal."""
    tables = [full(result, threads) for threads in THREADS]
    tables += [streaming(result), overview(result)]
    parts = facts(result) + [""] + [table.plain() for table in tables if table.rows]
    parts += summary(result)
    for goal in goals(result):
        parts += [f"\nmissed: {goal.name}"] * bool(goal.misses)
        parts += [f"  {miss}" for miss in goal.misses]
    return "\n".join(parts)


def markdown(result):
    """The whole result for a README; the long tables are folded."""
    parts = ["\n\n".join(facts(result)) + "\n"]
    for table in (overview(result), streaming(result)):
        if table.rows:
            parts.append(f"{table.title}:\n\n{table.markdown()}")
    parts.append("\n".join(f"- {line}" for line in summary(result)) + "\n")
    for threads in THREADS:
        table = full(result, threads)
        if table.rows:
            parts.append(f"<details><summary>{table.title}</summary>\n\n{table.markdown()}\n"
                         "</details>\n")
    return "\n".join(parts)
