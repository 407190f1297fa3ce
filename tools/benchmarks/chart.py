"""The result of the benchmark as a picture."""

import re

import matplotlib
from goals import complete, geometric_mean, named, ratio
from worklist import CELLS, KINDS, THREADS

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

# Readable on white and on black; text becomes darker or lighter where the reader's theme is known.
GREY = "#7d8590"
COLOURS = {"rnn": "#2f81f7", "lstm": "#d2762a", "gru": "#3fa266"}
STYLE = """<style>
@media (prefers-color-scheme: light) { text { fill: #1f2328 !important } }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 !important } }
</style>"""
TITLE = "How many times as fast as the fastest of PyTorch, ONNX Runtime and OpenVINO"


def description(result):
    """What the picture shows, for who cannot see it."""
    rows = complete(result)
    least, most = min(rows, key=ratio), max(rows, key=ratio)
    return (f"{len(rows)} networks and numbers of threads on {result['machine']['processor']}, "
            f"on a logarithmic scale. Geometric mean {geometric_mean(result):.2f}; from "
            f"{ratio(least):.2f} ({named(least)}) to {ratio(most):.2f} ({named(most)}).")


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def draw(result, path):
    """Write the picture, an SVG that needs nothing else, with a text in its place."""
    rows = complete(result)
    works = [work for work in dict.fromkeys(cell.work for cell in CELLS)
             if any(row["name"].endswith(f" {work}") for row in rows)]
    matplotlib.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "strata", "font.family": "sans-serif",
        "font.size": 9, "text.color": GREY, "axes.edgecolor": GREY, "axes.labelcolor": GREY,
        "xtick.color": GREY, "ytick.color": GREY})
    figure, axes = pyplot.subplots(figsize=(8, 1.4 + 0.32 * len(works)), layout="constrained")
    for place, kind in enumerate(KINDS):
        for threads in THREADS:
            found = [(ratio(row), works.index(row["name"].removeprefix(f"{kind} ")))
                     for row in rows if row["name"].startswith(f"{kind} ")
                     and row["threads"] == threads]
            # The kinds side by side, not on top of each other.
            axes.scatter([value for value, _ in found],
                         [height + 0.22 * (place - 1) for _, height in found],
                         s=26, zorder=3, edgecolors=COLOURS[kind], linewidths=1.2,
                         facecolors=COLOURS[kind] if threads == 1 else "none",
                         label=f"{kind.upper()}, {threads} thread{'s' if threads > 1 else ''}")
    axes.axvline(1, color=GREY, linewidth=1.5, zorder=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.set_yticks(range(len(works)), works)
    axes.invert_yaxis()
    axes.grid(axis="both", color=GREY, alpha=0.25, linewidth=0.6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.supxlabel("times as fast as the fastest of PyTorch, ONNX Runtime and OpenVINO with as "
                     "many threads", fontsize="medium")
    figure.legend(loc="outside upper center", ncols=len(KINDS), frameon=False)
    figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    with open(path, encoding="utf-8") as file:
        picture = file.read()
    text = (f'<title id="title">{escape(TITLE)}</title>\n'
            f'<desc id="description">{escape(description(result))}</desc>\n{STYLE}')
    picture = re.sub(
        r"<svg([^>]*)>",
        lambda found: f'<svg role="img" aria-labelledby="title description"{found[1]}>\n{text}',
        picture, count=1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(picture)
