"""Recurrent networks in numpy and float64, as the pages of torch.nn.RNN, LSTM and GRU define them,
with the conventions that other frameworks have instead. `check_networks.py` compares them with
PyTorch itself.
"""

import dataclasses

import numpy

GATES = {"rnn": "h", "lstm": "ifgo", "gru": "rzn"}


def logistic(x):
    return 1 / (1 + numpy.exp(-x))


SIGMOIDS = {
    "logistic": logistic,
    "hard_keras2": lambda x: numpy.clip(0.2 * x + 0.5, 0, 1),
    "hard_torch": lambda x: numpy.clip(x / 6 + 0.5, 0, 1),
}


@dataclasses.dataclass
class Network:
    """Sizes, weights by PyTorch's names, and what is done otherwise than in PyTorch."""
    kind: str
    input_size: int
    hidden_size: int
    layers: int = 1
    directions: int = 1
    projection: int = 0
    weights: dict = dataclasses.field(default_factory=dict)
    nonlinearity: str = "tanh"
    sigmoid: str = "logistic"
    reset: str = "after"
    forget_bias: float = 0.0
    cuts_projection: bool = False

    @property
    def state_size(self):
        return self.projection or self.hidden_size

    def suffixes(self):
        """What stands behind the names of each layer and direction, forward before reverse."""
        return [f"_l{layer}{side}" for layer in range(self.layers)
                for side in ("", "_reverse")[:self.directions]]

    def initialise(self, rng):
        """Weights uniform in ±1/sqrt(H), as PyTorch draws them, in float32."""
        rows = len(GATES[self.kind]) * self.hidden_size
        bound = self.hidden_size ** -0.5
        for index, suffix in enumerate(self.suffixes()):
            below = self.input_size if index < self.directions \
                else self.directions * self.state_size
            shapes = {"weight_ih": (rows, below), "weight_hh": (rows, self.state_size),
                      "bias_ih": (rows,), "bias_hh": (rows,)}
            if self.projection:
                shapes["weight_hr"] = (self.projection, self.hidden_size)
            for name, shape in shapes.items():
                self.weights[name + suffix] = rng.uniform(-bound, bound, shape).astype("float32")
        return self

    def step(self, suffix, x, h, c, fault=None):
        """One step of one layer: h, c and the gates after their activation, each [N, …]."""
        size = self.hidden_size
        weight = {name: self.weights[name + suffix].astype("float64")
                  for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        below = x @ weight["weight_ih"].T + weight["bias_ih"]
        recurrent = h @ weight["weight_hh"].T + weight["bias_hh"]
        sigmoid = SIGMOIDS[self.sigmoid]

        def planted(letter, value):
            return fault(letter, value) if fault else value

        def part(values, gate):
            return values[:, gate * size:(gate + 1) * size]

        if self.kind == "rnn":
            total = below + recurrent
            h = numpy.tanh(total) if self.nonlinearity == "tanh" else numpy.maximum(total, 0)
            return planted("h", h), c, None
        if self.kind == "lstm":
            total = below + recurrent
            i = planted("i", sigmoid(part(total, 0)))
            f = planted("f", sigmoid(part(total, 1) + self.forget_bias))
            g = planted("g", numpy.tanh(part(total, 2)))
            o = planted("o", sigmoid(part(total, 3)))
            c = f * c + i * g
            h = o * numpy.tanh(c)
            if self.projection:
                h = h[:, :self.projection] if self.cuts_projection \
                    else h @ self.weights["weight_hr" + suffix].astype("float64").T
            return h, c, numpy.concatenate([i, f, g, o], axis=1)
        r = planted("r", sigmoid(part(below, 0) + part(recurrent, 0)))
        z = planted("z", sigmoid(part(below, 1) + part(recurrent, 1)))
        if self.reset == "after":
            new = part(below, 2) + r * part(recurrent, 2)
        else:
            new = part(below, 2) + (r * h) @ part(weight["weight_hh"].T, 2) \
                + weight["bias_hh"][2 * size:]
        n = planted("n", numpy.tanh(new))
        return (1 - z) * n + z * h, c, numpy.concatenate([r, z, n], axis=1)

    def run(self, x, h_0=None, c_0=None, fault=None):
        """Runs [T, N, I]: {name: float64 array}, insides of layers with the rest.

        fault   called with suffix, step, gate and its value; gives the value to go on with
        """
        steps, batch = x.shape[:2]
        slots = self.layers * self.directions
        h_0 = numpy.zeros((slots, batch, self.state_size)) if h_0 is None else h_0
        c_0 = numpy.zeros((slots, batch, self.hidden_size)) if c_0 is None else c_0
        results = {}
        h_n, c_n = [], []
        for slot, suffix in enumerate(self.suffixes()):
            if slot % self.directions == 0:
                below, sides = x.astype("float64"), []
            h, c = h_0[slot].astype("float64"), c_0[slot].astype("float64")
            order = range(steps) if slot % self.directions == 0 else reversed(range(steps))
            taken = {"output": [None] * steps, "c": [None] * steps, "gates": [None] * steps}
            for step in order:
                here = None
                if fault:
                    def here(letter, value, step=step):
                        return fault(suffix, step, letter, value)
                h, c, gates = self.step(suffix, below[step], h, c, here)
                taken["output"][step], taken["c"][step], taken["gates"][step] = h, c, gates
            results["output" + suffix] = numpy.stack(taken["output"])
            if self.kind == "lstm":
                results["c" + suffix] = numpy.stack(taken["c"])
            if self.kind != "rnn":
                results["gates" + suffix] = numpy.stack(taken["gates"])
            h_n.append(h)
            c_n.append(c)
            sides.append(results["output" + suffix])
            if slot % self.directions == self.directions - 1:
                x = numpy.concatenate(sides, axis=2)
        results["output"] = x
        results["h_n"] = numpy.stack(h_n)
        if self.kind == "lstm":
            results["c_n"] = numpy.stack(c_n)
        return results
