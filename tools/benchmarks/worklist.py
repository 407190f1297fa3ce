"""What the benchmark of the runtime measures, and what each piece of work costs at least."""

import dataclasses

KINDS = ("rnn", "lstm", "gru")
THREADS = (1, 2)
FLOAT_BYTES = 4
GATES = {"rnn": 1, "lstm": 4, "gru": 3}

# Steps, sequences, features of the input, hidden units, layers.
SIZES = (
    [("streaming", (1, 1, 1, hidden, 1)) for hidden in (8, 16, 32, 40, 64)]
    + [("streaming", (1, 1, 1, 40, 2))]
    + [("step", (1, 1, hidden, hidden, 2)) for hidden in (40, 128, 512, 1024)]
    + [("sequence", (128, 1, hidden, hidden, 2)) for hidden in (128, 512, 1024)]
    + [("batch", (128, 32, hidden, hidden, 2)) for hidden in (128, 256, 512)]
    + [("bidirectional", (128, 8, 256, 256, 2)), ("example", (4, 2, 3, 5, 2))])

QUICK = (r"^(lstm T1 N1 I1 H(16|40) |gru T1 N1 I1 H40 |(rnn|gru) T1 N1 I128 |lstm T128 N1 I128 "
         r"|gru T128 N32 I128 |rnn T128 N8 |rnn T4 )")

# How many times as fast as ONNX Runtime RTNeural was, which is in no package registry: measured
# elsewhere, both in one run on one machine with AVX-512. Its sizes are constants of the compiler
# and its activations approximate. By kind, hidden units, layers; one step with a dense head.
RTNEURAL = {
    ("lstm", 8, 1): 165, ("lstm", 16, 1): 115, ("lstm", 32, 1): 53, ("lstm", 40, 1): 30,
    ("lstm", 64, 1): 16.5, ("lstm", 40, 2): 17,
    ("gru", 16, 1): 135, ("gru", 40, 1): 38, ("gru", 64, 1): 27,
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """A network and the input of one call; a streaming one has a dense head with one output."""

    kind: str
    group: str
    steps: int
    batch: int
    input_size: int
    hidden_size: int
    layers: int

    @property
    def name(self):
        """As `--cells` looks at it: "lstm T1 N1 I1 H40 L2 head"."""
        return f"{self.kind} {self.work}"

    @property
    def work(self):
        """The name without the kind."""
        end = {"streaming": " head", "bidirectional": " bidirectional"}.get(self.group, "")
        return (f"T{self.steps} N{self.batch} I{self.input_size} H{self.hidden_size} "
                f"L{self.layers}{end}")

    @property
    def has_head(self):
        return self.group == "streaming"

    @property
    def directions(self):
        return 2 if self.group == "bidirectional" else 1

    @property
    def rtneural(self):
        """RTNeural's ratio to ONNX Runtime, where it is known."""
        return RTNEURAL.get((self.kind, self.hidden_size, self.layers)) if self.has_head else None

    @property
    def goal_of_floor(self):
        """The share of the floor that is to be reached, if any."""
        if self.batch == 1 and self.hidden_size >= 128:
            return 0.7
        return 0.85 if self.group == "batch" and self.hidden_size >= 256 else None

    @property
    def _input_sizes(self):
        """For each layer and direction the features that it reads."""
        above = [self.directions * self.hidden_size] * (self.layers - 1)
        return [size for size in [self.input_size] + above for _ in range(self.directions)]

    @property
    def recurrent_bytes(self):
        """Weights between the hidden units, of one layer and direction."""
        return GATES[self.kind] * self.hidden_size ** 2 * FLOAT_BYTES

    @property
    def input_bytes(self):
        """Weights of the input, of all layers and directions."""
        return sum(GATES[self.kind] * self.hidden_size * size * FLOAT_BYTES
                   for size in self._input_sizes)

    @property
    def bytes(self):
        """All weights but the head's."""
        return self.input_bytes + len(self._input_sizes) * self.recurrent_bytes

    @property
    def operations(self):
        """Multiplications and additions of a call, those of activations left out."""
        head = self.directions * self.hidden_size if self.has_head else 0
        return 2 * self.steps * self.batch * (self.bytes // FLOAT_BYTES + head)

    @property
    def footprints(self):
        """The sizes of the memories that are read again and again."""
        return sorted({self.bytes, self.recurrent_bytes})

    def floor(self, peak, bandwidth):
        """Microseconds that a call takes at least: the longer one of arithmetic and of reading.

        In a call of many steps the weights of the input may be read once, for all steps together;
        those between the hidden units are read at every step, from a cache that has to hold one
        layer's at a time. `bandwidth` is by footprint, in bytes a second; `peak` in operations.
        """
        arithmetic = self.operations / peak
        if self.steps == 1:
            reading = self.bytes / bandwidth[self.bytes]
        else:
            recurrent = self.steps * (self.bytes - self.input_bytes)
            reading = (self.input_bytes / bandwidth[self.bytes]
                       + recurrent / bandwidth[self.recurrent_bytes])
        return {"arithmetic_us": arithmetic * 1e6, "reading_us": reading * 1e6,
                "us": max(arithmetic, reading) * 1e6}


CELLS = [Cell(kind, group, *sizes) for kind in KINDS for group, sizes in SIZES]
