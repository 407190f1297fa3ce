"""Models that no fixture holds, as safetensors files: deep, wide, with names that attack."""

import array
import json
import random
import struct


def write(path, tensors, seed=1):
    """Writes tensors of small random numbers: a list of names and shapes."""
    numbers = random.Random(seed)
    header, body = {}, bytearray()
    for name, shape in tensors:
        count = 1
        for size in shape:
            count *= size
        # A few thousand numbers over and over: large tables are not worth the time.
        some = array.array("f", (numbers.gauss(0, 0.2) for _ in range(min(count, 4096))))
        values = (some * (count // len(some) + 1))[:count]
        start = len(body)
        body += values.tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(body)]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def stack(prefix, gates, sizes, layers, bidirectional=False):
    """The names and shapes of a recurrent module."""
    inputs, hidden = sizes
    tensors = []
    for layer in range(layers):
        width = inputs if layer == 0 else hidden * (2 if bidirectional else 1)
        for direction in ["", "_reverse"] if bidirectional else [""]:
            end = f"_l{layer}{direction}"
            tensors += [
                (f"{prefix}weight_ih{end}", [gates * hidden, width]),
                (f"{prefix}weight_hh{end}", [gates * hidden, hidden]),
                (f"{prefix}bias_ih{end}", [gates * hidden]),
                (f"{prefix}bias_hh{end}", [gates * hidden]),
            ]
    return tensors


def hostile(path):
    """Names that would break out of HTML, out of attributes, or off the screen."""
    name = "</code><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\u202egnp\u0007"
    tensors = stack(name + ".", 4, (3, 5), 1) + [(f"{name}extra" + "x" * 300, [2])]
    write(path, tensors)


def deep(path):
    """Forty layers."""
    write(path, stack("deep.rnn.", 3, (4, 6), 40))


def wide(path):
    """A huge vocabulary, a large hidden size."""
    write(path, [("embedding.weight", [250000, 24])] + stack("rnn.", 4, (24, 520), 2, True)
          + [("head.weight", [20000, 1040]), ("head.bias", [20000])])
