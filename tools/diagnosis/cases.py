"""Models that are wrong in exactly one way, or in a common pair of ways, and their goldens."""

import itertools

import numpy

from networks import GATES, Network

# Every way, with the kinds for which it has an effect. A network that has none of what a way speaks
# of (two directions, several layers) leaves it out.
GATE_ORDERS = {kind: [order for order in map("".join, itertools.permutations(letters))
                      if order != letters] for kind, letters in GATES.items()}
WAYS = {
    "gate_order": ("lstm", "gru"),
    "transpose": ("rnn", "lstm", "gru"),
    "bias=merged": ("gru",),
    "bias=swapped": ("gru",),
    "gru_reset=before": ("gru",),
    "nonlinearity=relu": ("rnn",),
    "batch_first=true": ("rnn", "lstm", "gru"),
    "direction=swapped": ("rnn", "lstm", "gru"),
    "layer_order": ("rnn", "lstm", "gru"),
    "state=swapped": ("lstm",),
    "state=zero": ("rnn", "lstm", "gru"),
    "projection=ignored": ("lstm",),
    "forget_bias": ("lstm",),
    "sigmoid=hard_keras2": ("lstm", "gru"),
    "sigmoid=hard_torch": ("lstm", "gru"),
    "gate_order + bias=merged": ("gru",),
    "gate_order + transpose": ("lstm", "gru"),
    "gate_order + gru_reset=before": ("gru",),
}


class Case:
    """A file, its golden, and the settings that make it pass."""

    def __init__(self, way, kind, layers, directions, seed):
        self.rng = numpy.random.default_rng(
            [seed, layers, directions, len(way), *map(ord, way + kind)])
        rng = self.rng
        ways = way.split(" + ") if way else []
        size = int(rng.integers(3, 9))
        network = Network(kind, int(rng.integers(2, 7)), size, layers, directions)
        if network.input_size == size:
            network.input_size += 1
        if "projection=ignored" in ways:
            network.projection = int(rng.integers(1, size))
        elif kind == "lstm" and "state=swapped" not in ways and rng.random() < 0.25:
            network.projection = int(rng.integers(1, size))
        # Layers in another order: those that have the same shapes at least.
        if "layer_order" in ways and rng.random() < 0.5:
            network.input_size = directions * network.state_size
        network.initialise(rng)
        self.network = network
        self.file = dict(network.weights)
        self.settings = []
        self.steps, self.batch = int(rng.integers(6, 11)), int(rng.integers(2, 4))
        if "bias=merged" in ways:
            # The golden must show more numbers than there are biases.
            self.steps = 12
        self.x = rng.standard_normal((self.steps, self.batch, network.input_size)).astype("float32")
        slots = layers * directions
        self.h_0 = rng.standard_normal((slots, self.batch, network.state_size)).astype("float32")
        self.c_0 = rng.standard_normal((slots, self.batch, size)).astype("float32")
        self.golden = {"input": self.x, "h_0": self.h_0}
        if kind == "lstm":
            self.golden["c_0"] = self.c_0
        self.has_state = True
        self.is_batch_first = False
        for name in ways:
            self.apply(name)
        self.record()

    def apply(self, way):
        """Makes the model wrong in a way, and notes the setting that cures it."""
        network, rng, file = self.network, self.rng, self.file
        letters = GATES[network.kind]
        if way == "gate_order":
            order = str(rng.choice(GATE_ORDERS[network.kind]))
            size = network.hidden_size
            for name, value in file.items():
                if not name.startswith("weight_hr"):
                    file[name] = numpy.concatenate(
                        [value[letters.index(gate) * size:][:size] for gate in order])
            way = f"gate_order={order}"
        elif way == "transpose":
            for name, value in file.items():
                file[name] = numpy.ascontiguousarray(value.T)
            way = "transpose=true"
        elif way == "bias=merged":
            for suffix in network.suffixes():
                file["bias_ih" + suffix] = file["bias_ih" + suffix] + file["bias_hh" + suffix]
                file["bias_hh" + suffix] = numpy.zeros_like(file["bias_hh" + suffix])
        elif way == "bias=swapped":
            for suffix in network.suffixes():
                one, other = "bias_ih" + suffix, "bias_hh" + suffix
                file[one], file[other] = file[other], file[one]
        elif way == "gru_reset=before":
            network.reset = "before"
        elif way == "nonlinearity=relu":
            network.nonlinearity = "relu"
        elif way == "batch_first=true":
            self.is_batch_first = True
        elif way == "direction=swapped":
            for name in list(file):
                if not name.endswith("_reverse"):
                    other = name + "_reverse"
                    file[name], file[other] = file[other], file[name]
        elif way == "layer_order":
            order = list(range(network.layers))
            while order == sorted(order):
                rng.shuffle(order)
            # What layer k of the model is stands in the file as layer order[k].
            moved = {}
            for name, value in network.weights.items():
                kind, layer = name.split("_l")
                layer, reverse = (layer.split("_") + [""])[:2]
                side = "_reverse" if reverse else ""
                moved[f"{kind}_l{order[int(layer)]}{side}"] = value
            file.clear()
            file.update(sorted(moved.items()))
            way = "layer_order=" + ",".join(map(str, order))
        elif way == "state=swapped":
            self.golden["h_0"], self.golden["c_0"] = self.c_0, self.h_0
        elif way == "state=zero":
            self.has_state = False
        elif way == "projection=ignored":
            network.cuts_projection = True
        elif way == "forget_bias":
            other = round(float(rng.uniform(0.3, 3)), 2)
            value = float(rng.choice([1.0, 1.0, 2.0, -1.0, 0.75, other]))
            network.forget_bias = value
            way = f"forget_bias={value}"
        elif way.startswith("sigmoid="):
            network.sigmoid = way.split("=")[1]
        else:
            raise ValueError(way)
        self.settings.append(way)

    def record(self):
        """Runs the right network and writes down what it gives."""
        state = (self.h_0, self.c_0) if self.has_state else (None, None)
        results = self.network.run(self.x, *state)
        for name in ("output", "h_n", "c_n"):
            if name not in results:
                continue
            self.golden[name] = results[name].astype("float32")
            # Half of all goldens have PyTorch's float64 values beside the others.
            if self.rng.random() < 0.5:
                self.golden[name + "_f64"] = results[name]
        if self.is_batch_first:
            for name in ("input", "output", "output_f64"):
                if name in self.golden:
                    self.golden[name] = numpy.ascontiguousarray(self.golden[name].swapaxes(0, 1))


def applies(way, kind, layers, directions):
    """Whether there is such a case."""
    ways = way.split(" + ")
    return kind in WAYS[way] and not ("layer_order" in ways and layers == 1) \
        and not ("direction=swapped" in ways and directions == 1)


class Planted:
    """A right model, and a golden with insides into which a fault was planted at one gate of one
    step."""

    def __init__(self, seed):
        rng = numpy.random.default_rng([seed, 7])
        kind = str(rng.choice(["rnn", "lstm", "gru"]))
        layers, directions = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        sizes = int(rng.integers(2, 6)), int(rng.integers(3, 7))
        network = Network(kind, *sizes, layers, directions)
        if kind == "lstm" and rng.random() < 0.3:
            network.projection = 2
        network.initialise(rng)
        self.network, self.file = network, network.weights
        steps, batch = int(rng.integers(4, 40)), int(rng.integers(1, 4))
        x = rng.standard_normal((steps, batch, network.input_size)).astype("float32")
        suffix = str(rng.choice(network.suffixes()))
        step = int(rng.integers(0, steps))
        letter = str(rng.choice(list(GATES[kind])))
        lane, unit = int(rng.integers(0, batch)), int(rng.integers(0, network.hidden_size))
        size = float(10 ** rng.uniform(-3.5, 0)) * float(rng.choice([-1, 1]))

        def fault(here, now, gate, value):
            if (here, now, gate) != (suffix, step, letter):
                return value
            value = value.copy()
            value[lane, unit] += size
            return value

        slots = layers * directions
        h_0 = rng.standard_normal((slots, batch, network.state_size)).astype("float32")
        c_0 = rng.standard_normal((slots, batch, network.hidden_size)).astype("float32")
        results = network.run(x, h_0, c_0, fault)
        self.golden = {"input": x, "h_0": h_0}
        if kind == "lstm":
            self.golden["c_0"] = c_0
        for name, value in results.items():
            self.golden[name] = value.astype("float32")
        layer, *side = suffix[2:].split("_")
        self.place = {"layer": int(layer), "direction": "reverse" if side else "forward",
                      "step": step, "gate": letter}
