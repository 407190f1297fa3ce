#!/usr/bin/env python3
"""Make fixtures/fold/<case>/: parameters in pieces, and what PyTorch makes of them.

    model.h5   the state dict as training leaves it: halves of weight norms, raw weights
    plain.h5   the same with every parameter in one piece, as PyTorch computes it; not for those
               that are not folded (spectral norm, pruning)
    golden.h5  inputs, and outputs of the plain model, for cases with a recurrent module

    python tools/make_fold_fixtures.py            make all of them anew (torch >= 2.1, h5py)
    python tools/make_fold_fixtures.py --measure  compare the orders of summation that the Swift
                                                  code uses with torch._weight_norm, over thousands
                                                  of cases
"""

import argparse
import fractions
import os
import shutil
import sys
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils import remove_weight_norm, spectral_norm, weight_norm

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from export_pytorch import _write  # noqa: E402

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                        "fixtures", "fold")
DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16,
          "bf16": torch.bfloat16}


class Tagger(nn.Module):
    """A recurrent stack and a linear head on every step."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        self.fc = nn.Linear(rnn.hidden_size * (2 if rnn.bidirectional else 1), 3)

    def forward(self, x):
        return self.fc(self.rnn(x)[0])


class WeightDrop(nn.Module):
    """Dropout on weights of a recurrent module, with the names that two well-known projects give.

    own     whether the raw weight is a parameter of the wrapper (fastai), or of the module that is
            wrapped (awd-lstm-lm)
    """

    def __init__(self, module, name, own):
        super().__init__()
        self.module, self.name = module, name
        weight = getattr(module, name)
        owner = self if own else module
        owner.register_parameter(name + "_raw", nn.Parameter(weight.detach().clone()))
        self.owner_is_self = own

    def mask(self):
        """Leaves a masked copy behind, as a step of training does."""
        raw = getattr(self if self.owner_is_self else self.module, self.name + "_raw")
        with torch.no_grad():
            getattr(self.module, self.name).copy_(nn.functional.dropout(raw, 0.5))


class Language(nn.Module):
    """Two LSTMs in a list, as language models have them."""

    def __init__(self, own):
        super().__init__()
        self.rnns = nn.ModuleList(
            WeightDrop(nn.LSTM(i, h), "weight_hh_l0", own) for i, h in ((4, 6), (6, 5)))

    def forward(self, x):
        for drop in self.rnns:
            x = drop.module(x)[0]
        return x


def stretch(module):
    """Lengths that are not those of the directions."""
    for name, parameter in module.named_parameters():
        if name.endswith("_g") or name.endswith("original0"):
            with torch.no_grad():
                parameter.mul_(torch.rand_like(parameter) + 0.5)


def copied(module):
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def golden(plain, x):
    """What the plain module gives, in float32 and in float64."""
    tensors = {"input": x}
    for suffix, dtype in (("", torch.float32), ("_f64", torch.float64)):
        module = plain.to(dtype).eval()
        with torch.no_grad():
            if isinstance(module, Tagger):
                output, state = module.rnn(x.to(dtype))
                tensors["y" + suffix] = module.fc(output)
            else:
                output, state = module(x.to(dtype))
        tensors["output" + suffix] = output
        h_n, c_n = state if isinstance(state, tuple) else (state, None)
        tensors["h_n" + suffix] = h_n
        if c_n is not None:
            tensors["c_n" + suffix] = c_n
    plain.to(torch.float32)
    return tensors


def with_plain(model, fresh, x):
    """The plain state dict, and goldens of a fresh module that has it."""
    plain = copied(model)
    fresh.load_state_dict(plain)
    return plain, golden(fresh, x)


def weight_norm_lstm():
    """torch.nn.utils.weight_norm on weights of a stack, and on its head with one length for all."""
    names = ["weight_hh_l0", "weight_hh_l1"]
    model = Tagger(nn.LSTM(3, 20, num_layers=2))
    for name in names:
        weight_norm(model.rnn, name)
    weight_norm(model.fc, "weight", dim=None)
    stretch(model)
    halves = copied(model)
    for name in names:
        remove_weight_norm(model.rnn, name)
    remove_weight_norm(model.fc, "weight")
    fresh = Tagger(nn.LSTM(3, 20, num_layers=2))
    return halves, *with_plain(model, fresh, torch.randn(4, 2, 3))


def parametrized_gru():
    """torch.nn.utils.parametrizations.weight_norm on the same, the head over its columns."""
    names = ["weight_ih_l0", "weight_hh_l0", "weight_hh_l0_reverse"]
    model = Tagger(nn.GRU(5, 9, bidirectional=True))
    for name in names:
        parametrizations.weight_norm(model.rnn, name)
    parametrizations.weight_norm(model.fc, "weight", dim=1)
    stretch(model)
    halves = copied(model)
    for name in names:
        parametrize.remove_parametrizations(model.rnn, name)
    parametrize.remove_parametrizations(model.fc, "weight")
    fresh = Tagger(nn.GRU(5, 9, bidirectional=True))
    return halves, *with_plain(model, fresh, torch.randn(4, 2, 5))


def weight_drop(own):
    """A chain of two LSTMs whose hidden weights are dropped in training."""
    model = Language(own)
    for drop in model.rnns:
        drop.mask()
    trained = copied(model)
    plain = {}
    for name, tensor in trained.items():
        if name.endswith("_raw"):
            target = name[:-4]
            if target not in trained:
                target = target.replace(".weight", ".module.weight")
            plain[target] = tensor
    for name, tensor in trained.items():
        if not name.endswith("_raw") and name not in plain:
            plain[name] = tensor
    x = torch.randn(5, 2, 4)
    tensors = {"input": x}
    for suffix, dtype in (("", torch.float32), ("_f64", torch.float64)):
        y = x.to(dtype)
        for index, sizes in enumerate(((4, 6), (6, 5))):
            lstm = nn.LSTM(*sizes)
            path = f"rnns.{index}.module."
            lstm.load_state_dict({name: plain[path + name] for name in lstm.state_dict()})
            with torch.no_grad():
                y = lstm.to(dtype)(y)[0]
        tensors["output" + suffix] = y
    return trained, plain, tensors


def shapes(size):
    """Shapes with `size` elements to a sum, and the dimension that keeps its lengths."""
    yield (3, size), 0
    yield (size, 3), 1
    if size % 2 == 0:
        yield (2, 3, size // 2), 1
    yield (1, size), None


def tensors():
    """Weight norms of every dtype over every dimension, with sums of many lengths."""
    halves, plain = {}, {}
    for label, dtype in DTYPES.items():
        for size in (1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 24, 31, 40, 101, 130):
            for shape, dim in shapes(size):
                v = torch.randn(shape).to(dtype)
                places = [n if i == dim else 1 for i, n in enumerate(shape)]
                g = torch.randn(places if dim is not None else []).to(dtype)
                name = f"{label}.n{size}.{dim}.weight"
                halves[name + "_g"], halves[name + "_v"] = g, v
                plain[name] = torch._weight_norm(v, g, -1 if dim is None else dim)
    return halves, plain, None


def spectral(parametrized):
    model = Tagger(nn.GRU(4, 6))
    if parametrized:
        parametrizations.spectral_norm(model.rnn, "weight_hh_l0")
    else:
        spectral_norm(model.rnn, "weight_hh_l0")
    return copied(model), None, None


def pruned():
    model = Tagger(nn.GRU(4, 6))
    prune.random_unstructured(model.rnn, "weight_hh_l0", amount=0.3)
    return copied(model), None, None


CASES = {
    "weight-norm-lstm": weight_norm_lstm,
    "parametrized-gru": parametrized_gru,
    "weight-drop-inside": lambda: weight_drop(False),
    "weight-drop-outside": lambda: weight_drop(True),
    "tensors": tensors,
    "spectral-norm": lambda: spectral(False),
    "parametrized-spectral-norm": lambda: spectral(True),
    "pruned": pruned,
}


def make(name, folder):
    torch.manual_seed(sum(name.encode()))
    attributes = {"pytorch": torch.__version__}
    folder = os.path.join(folder, name)
    os.makedirs(folder)
    for file, part in zip(("model", "plain", "golden"), CASES[name]()):
        if part is not None:
            _write(os.path.join(folder, file + ".h5"), list(part.items()), attributes)


# The orders of summation, in numpy


def tree(lanes):
    while len(lanes) > 1:
        lanes = lanes[:len(lanes) // 2] + lanes[len(lanes) // 2:]
    return lanes[0]


def one_by_one(values):
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def fused(values, kind):
    """A sum of squares with fused multiply-adds, in exact fractions that are rounded once."""
    total = kind(0)
    for value in values:
        exact = fractions.Fraction(float(value)) ** 2 + fractions.Fraction(float(total))
        # Of a float32's square and a float32, float64 loses bits only beyond the 53rd, and a tie of
        # float32 that way is as good as impossible.
        total = kind(float(exact))
    return total


def total(values, order, half):
    kind = values.dtype.type
    if order == "last":
        return fused(values, kind)
    register = 8 if kind is np.float32 else 4
    width = 2 * register if half else register
    full = len(values) if order == "first" else len(values) - len(values) % width
    lanes = np.zeros(width, kind)
    for start in range(0, full, width):
        piece = values[start:min(start + width, full)]
        lanes[:len(piece)] = lanes[:len(piece)] + piece * piece
    if half:
        lanes = lanes[:register] + lanes[register:]
    if order == "first" and len(values) >= width and kind is np.float32:
        return tree(lanes)
    return one_by_one(np.concatenate((lanes, values[full:] * values[full:])))


def folded(v, g, dim):
    dtype, half = v.dtype, v.element_size() == 2
    kind = np.float64 if dtype is torch.float64 else np.float32

    def numbers(tensor):
        return tensor.double().numpy().astype(kind)

    def rounded(array):
        return numbers(torch.from_numpy(np.asarray(array)).to(dtype))

    rows = numbers(v).reshape(1, -1) if dim is None else (
        np.moveaxis(numbers(v), dim, 0).reshape(v.shape[dim], -1))
    order = {0: "first", v.dim() - 1: "last"}.get(dim, "others")
    norms = np.sqrt(np.array([total(row, order, half) for row in rows], kind))
    norms = rounded(norms) if order == "others" else norms
    scales = numbers(g).reshape(-1) / norms
    scales = rounded(scales) if order == "others" else scales
    rows = rows * scales[:, None]
    if dim is None:
        return torch.from_numpy(rows.reshape(v.shape)).to(dtype)
    others = [n for i, n in enumerate(v.shape) if i != dim]
    array = np.moveaxis(rows.reshape([v.shape[dim]] + others), 0, dim)
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype)


def measure(count):
    """Prints how many random weight norms have torch's bits, and how far the others are off."""
    random = np.random.default_rng(1)
    views = {8: torch.int64, 4: torch.int32, 2: torch.int16}
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    for label, dtype in DTYPES.items():
        for place in ("first", "last", "middle", "all"):
            agree, worst = 0, 0
            for _ in range(count):
                n, m = int(random.integers(2, 200)), int(random.integers(2, 8))
                shape, dim = {"first": ((m, n), 0), "last": ((n, m), 1),
                              "middle": ((2, m, n), 1), "all": ((m, n), None)}[place]
                v = torch.from_numpy(random.standard_normal(shape)).to(dtype)
                places = [k if i == dim else 1 for i, k in enumerate(shape)]
                g = torch.from_numpy(np.asarray(
                    random.standard_normal(places if dim is not None else []))).to(dtype)
                theirs = torch._weight_norm(v, g, -1 if dim is None else dim).contiguous()
                bits = [t.view(views[t.element_size()]).long() for t in (theirs, folded(v, g, dim))]
                distance = int((bits[0] - bits[1]).abs().max())
                agree, worst = agree + (distance == 0), max(worst, distance)
            print(f"{label:5} {place:6} {agree} of {count}, at most {worst} ulp off")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measure", metavar="COUNT", nargs="?", type=int, const=1000)
    arguments = parser.parse_args()
    # Several threads add their sums of the last dimension up in another order.
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    if arguments.measure:
        measure(arguments.measure)
        return 0
    shutil.rmtree(FIXTURES, ignore_errors=True)
    for name in CASES:
        make(name, FIXTURES)
    print(f"{len(CASES)} cases made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
