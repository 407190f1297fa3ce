"""What the benchmark of the runtime is to show, and whether a result shows it."""

import dataclasses
import statistics

from worklist import CELLS, THREADS

PEERS = ("pytorch", "onnxruntime", "openvino")
CANDIDATES = ("strata",) + PEERS
BY_NAME = {cell.name: cell for cell in CELLS}
# Two measurements of the same thing differ by so much.
NOISE = 0.03


def complete(result):
    """The rows in which every candidate has its time and its error."""
    return [row for row in result["cells"]
            if all(one in row.get("candidates", {}) for one in CANDIDATES)]


def ratio(row):
    """How many times as fast as the fastest peer Strata is."""
    times = {name: one["us"] for name, one in row["candidates"].items()}
    return min(times[peer] for peer in PEERS) / times["strata"]


def stream_us(row):
    """Strata's time; of single steps that of one in the middle of a stream, which takes longer."""
    return row.get("strata_stream_us", row["candidates"]["strata"]["us"])


def ratio_to_onnxruntime(row):
    """Of a step in the middle of a stream, as RTNeural's was measured."""
    return row["candidates"]["onnxruntime"]["us"] / stream_us(row)


def geometric_mean(result):
    """That of the ratios to the fastest peer; None without any."""
    ratios = [ratio(row) for row in complete(result)]
    return statistics.geometric_mean(ratios) if ratios else None


def share_of_floor(row):
    """The floor as a share of Strata's time; for a batch the share of the arithmetic peak."""
    if "floor" not in row:
        return None
    part = "arithmetic_us" if BY_NAME[row["name"]].group == "batch" else "us"
    return row["floor"][part] / stream_us(row)


def named(row):
    return f"{row['name']}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}"


@dataclasses.dataclass
class Goal:
    """A goal, the cells that it is about, and in words those that miss it."""

    name: str
    cells: int
    misses: list

    @property
    def is_met(self):
        """None where nothing was measured."""
        return not self.misses if self.cells else None

    @property
    def words(self):
        if not self.cells:
            return f"not measured: {self.name}"
        if not self.misses:
            return f"met: {self.name}" + (f" ({self.cells} cells)" if self.cells > 1 else "")
        return f"missed: {self.name} ({len(self.misses)} of {self.cells})"


def each(name, rows, value, least, form="{:.2f}"):
    """A goal of every row: that its value is at least `least(row)`."""
    misses = [f"{named(row)}: {form.format(value(row))}, goal {form.format(least(row))}"
              for row in rows if value(row) < least(row)]
    return Goal(name, len(rows), misses)


def goals(result):
    """Every goal, with what it was measured on."""
    rows = complete(result)
    found = [each("as fast as the fastest peer with as many threads", rows, ratio, lambda row: 1)]

    mean = geometric_mean(result)
    misses = [f"{mean:.2f}, goal 2.5"] if mean and mean < 2.5 else []
    found.append(Goal("geometric mean of the ratios at least 2.5", 1 if mean else 0, misses))

    found.append(each(
        "one step with a dense head: as many times as fast as ONNX Runtime as RTNeural is",
        [row for row in rows if BY_NAME[row["name"]].rtneural and row["threads"] == 1],
        ratio_to_onnxruntime, lambda row: BY_NAME[row["name"]].rtneural, "{:.1f}"))

    for threads in THREADS:
        end = f", {threads} thread{'s' if threads > 1 else ''}"
        here = [row for row in rows if row["threads"] == threads and share_of_floor(row)
                and BY_NAME[row["name"]].goal_of_floor]
        for name, is_batch in (("one sequence, H at least 128: 70 % of the floor", False),
                               ("batches, H at least 256: 85 % of the arithmetic peak", True)):
            found.append(each(
                name + end,
                [row for row in here if (BY_NAME[row["name"]].group == "batch") == is_batch],
                share_of_floor, lambda row: BY_NAME[row["name"]].goal_of_floor, "{:.0%}"))

    errors = [[row["candidates"][one]["error"] for one in ("strata", "pytorch")] for row in rows]
    found.append(Goal(
        "largest error to float64 no larger than PyTorch's", len(rows),
        [f"{named(row)}: {own:.3g}, PyTorch's {other:.3g}"
         for row, (own, other) in zip(rows, errors) if own > other]))

    both = [row for row in rows if "speed_to_one_thread" in row]
    found.append(each(
        f"two threads never slower than one ({NOISE:.0%} for noise)", both,
        lambda row: row["speed_to_one_thread"], lambda row: 1 - NOISE))
    found.append(each(
        "two threads 1.6 times as fast as one for sequences and batches, H at least 128",
        [row for row in both if BY_NAME[row["name"]].group in ("sequence", "batch")],
        lambda row: row["speed_to_one_thread"], lambda row: 1.6))

    inspected = result.get("inspect_ms", {})
    found.append(Goal(
        "strata inspect of a small file, the whole process, under 10 ms", len(inspected),
        [f"{name}: {time:.1f} ms" for name, time in inspected.items() if time >= 10]))
    return found
