#!/usr/bin/env python3
"""Compares networks.py with PyTorch: outputs and final states of float64 modules with the same
weights have to be the same to 1e-12.

    python tools/diagnosis/check_networks.py          (needs torch)
"""

import sys

import numpy
import torch

from networks import Network


def main():
    largest, count = 0.0, 0
    for seed in range(60):
        rng = numpy.random.default_rng(seed)
        kind = ("rnn", "lstm", "gru")[seed % 3]
        network = Network(kind, int(rng.integers(2, 6)), int(rng.integers(3, 8)),
                          layers=int(rng.integers(1, 4)), directions=int(rng.integers(1, 3)),
                          projection=int(rng.integers(0, 3)) if kind == "lstm" else 0,
                          nonlinearity=("tanh", "relu")[seed % 2]).initialise(rng)
        options = {"nonlinearity": network.nonlinearity} if kind == "rnn" else {}
        if network.projection:
            options["proj_size"] = network.projection
        module = getattr(torch.nn, kind.upper())(
            network.input_size, network.hidden_size, network.layers,
            bidirectional=network.directions == 2, **options).double()
        module.load_state_dict({name: torch.from_numpy(value).double()
                                for name, value in network.weights.items()})
        x = rng.standard_normal((7, 3, network.input_size))
        slots = network.layers * network.directions
        state = [rng.standard_normal((slots, 3, network.state_size))]
        if kind == "lstm":
            state.append(rng.standard_normal((slots, 3, network.hidden_size)))
        given = tuple(torch.from_numpy(part) for part in state)
        with torch.no_grad():
            output, final = module(torch.from_numpy(x), given if kind == "lstm" else given[0])
        final = final if kind == "lstm" else (final,)
        results = network.run(x, *state)
        for name, tensor in zip(("output", "h_n", "c_n"), (output, *final)):
            largest = max(largest, float(numpy.abs(results[name] - tensor.numpy()).max()))
            count += 1
    print(f"{count} results of 60 networks; largest difference to PyTorch {torch.__version__}: "
          f"{largest:.1e}")
    return 0 if largest < 1e-12 else 1


if __name__ == "__main__":
    sys.exit(main())
