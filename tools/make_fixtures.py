#!/usr/bin/env python3
"""Make fixtures/pytorch/<case>/{model,golden}.h5 with PyTorch on the CPU.

Every case goes through export_pytorch.py, the one that users run. Weights come from the
framework's default initialisation with one seed per case, recorded in both files.

    python tools/make_fixtures.py                 make all of them anew
    python tools/make_fixtures.py --only CASE     make one (repeatable)
    python tools/make_fixtures.py --check         make them elsewhere and compare
"""

import argparse
import itertools
import os
import shutil
import sys
import tempfile
import warnings
import zlib

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from export_pytorch import export  # noqa: E402

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                        "fixtures", "pytorch")

# Outputs differ between machines in the order of a sum; weights and inputs do not.
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
RECORDED = ("input", "lengths", "h_0", "c_0")
OTHERS = ("char-model",)  # made by train_charmodel.py
KINDS = {"rnn-tanh": nn.RNN, "rnn-relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


# Models with a head


class Tagger(nn.Module):
    """LSTM and a linear head on every step: [T, N, I] to [T, N, O]."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(self.lstm(x)[0])


class Classifier(nn.Module):
    """GRU, batch first, and a sigmoid head on the last step: [N, T, I] to [N, O]."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 6, batch_first=True)
        self.classify = nn.Linear(6, 2)

    def forward(self, x):
        return torch.sigmoid(self.classify(self.gru(x)[0][:, -1]))


class BiEncoder(nn.Module):
    """Bidirectional LSTM and a head on the last layer's final state, directions concatenated."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.LSTM(4, 5, num_layers=2, bidirectional=True)
        self.project = nn.Linear(10, 3)

    def forward(self, x):
        h_n = self.encoder(x)[1][0]
        return self.project(torch.cat((h_n[-2], h_n[-1]), dim=-1))


class Headed(nn.Module):
    """A recurrent stack and a linear head on every step, followed by `activation`."""

    def __init__(self, rnn, activation, size=4):
        super().__init__()
        directions = 2 if rnn.bidirectional else 1
        self.rnn = rnn
        self.out = nn.Linear(directions * rnn.hidden_size, size)
        self.activation = activation

    def forward(self, x):
        return self.activation(self.out(self.rnn(x)[0]))


class FinalState(nn.Module):
    """GRU in one direction and a head on h_n[-1]: [T, N, I] to [N, O]."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 5, num_layers=2)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[1][-1])


class Packed(nn.Module):
    """A recurrent stack on sequences of different lengths, and a head named `scores`.

    x        [N, T, I] with batch_first, else [T, N, I]
    lengths  [N], in any order
    """

    def __init__(self, rnn, head_input, size=3):
        super().__init__()
        self.rnn = rnn
        self.head_input = head_input
        self.scores = nn.Linear(rnn.hidden_size * (2 if rnn.bidirectional else 1), size)

    def forward(self, x, lengths):
        first = self.rnn.batch_first
        packed = pack_padded_sequence(x, lengths, first, enforce_sorted=False)
        output, state = self.rnn(packed)
        h_n = state[0] if isinstance(self.rnn, nn.LSTM) else state
        # Some pad to the input's steps, which may be more than the longest sequence has.
        output, lengths = pad_packed_sequence(output, first, total_length=x.shape[int(first)])
        if self.head_input == "all":
            return torch.tanh(self.scores(output))
        if self.head_input == "last":
            lanes = torch.arange(len(lengths))
            return self.scores(output[lanes, lengths - 1] if first else output[lengths - 1, lanes])
        return self.scores(torch.cat((h_n[-2], h_n[-1]), dim=-1))


class Sequel(nn.Module):
    """The LSTM of `EncoderDecoder` and what stands around it."""

    def __init__(self, inputs, hidden, layers, bidirectional=False):
        super().__init__()
        self.rnn = nn.LSTM(inputs, hidden, layers, bidirectional=bidirectional)

    def forward(self, x, state=None):
        return self.rnn(x, state)


class EncoderDecoder(nn.Module):
    """Two LSTMs, `encoder.rnn` and `decoder.rnn`, that do not follow each other by their sizes."""

    def __init__(self):
        super().__init__()
        self.encoder = Sequel(4, 6, 2, bidirectional=True)
        self.decoder = Sequel(3, 5, 1)
        self.generator = nn.Linear(5, 3)

    def forward(self, source, target):
        _, (h_n, c_n) = self.encoder(source)
        state = tuple(tensor.mean(dim=0, keepdim=True)[..., :5] for tensor in (h_n, c_n))
        return self.generator(self.decoder(target, state)[0])


class StackedKinds(nn.Module):
    """GRU, then LSTM, then a head on every step: 4 to 6, 6 to 5, 5 to 3."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 6)
        self.lstm = nn.LSTM(6, 5, 2)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return torch.sigmoid(self.head(self.lstm(self.gru(x)[0])[0]))


class StackedTokens(nn.Module):
    """Embedding, bidirectional LSTM, GRU and a head on h_n: tokens [N, T] to [N, O]."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.lower = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.upper = nn.GRU(6, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, tokens):
        return self.head(self.upper(self.lower(self.embedding(tokens))[0])[1][-1])


class ConvolutionGRU(nn.Module):
    """Convolution and normalisation over [N, 3, T], bidirectional GRU, a head on every step."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 4, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm1d(4)
        self.gru = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(10, 2)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        return self.fc(self.gru(x.transpose(1, 2))[0])


class CellLoop(nn.Module):
    """Two cells in a loop over x [T, N, 3], the second on top of the first."""

    def __init__(self, cell):
        super().__init__()
        self.cells = nn.ModuleList([cell(3, 5), cell(5, 4)])

    def forward(self, x, *states):
        states, outputs = list(states), []
        for step in x:
            for index, cell in enumerate(self.cells):
                states[index] = cell(step, states[index])
                step = states[index][0] if isinstance(states[index], tuple) else states[index]
            outputs.append(step)
        return torch.stack(outputs)


class CharModel(nn.Module):
    """Embedding, LSTM and a head on every step: tokens [N, T] or [T] to logits [..., V]."""

    def __init__(self, characters=11):
        super().__init__()
        self.embed = nn.Embedding(characters, 4)
        self.rnn = nn.LSTM(4, 6, 2, batch_first=True)
        self.to_characters = nn.Linear(6, characters)

    def forward(self, tokens):
        return self.to_characters(self.rnn(self.embed(tokens))[0])


class TokenClassifier(nn.Module):
    """Embedding, GRU and a softmax over a head on h_n: tokens [T, N] to [N, O]."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(7, 5)
        self.encoder = nn.GRU(5, 6)
        self.decide = nn.Linear(6, 3)

    def forward(self, tokens):
        return torch.softmax(self.decide(self.encoder(self.tokens(tokens))[1][-1]), dim=-1)


class PackedTokens(nn.Module):
    """Embedding, packed bidirectional GRU, a head on every step: tokens [N, T] to [N, T, O]."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(8, 4, padding_idx=0)
        self.rnn = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        self.tag = nn.Linear(10, 3)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embedding(tokens), lengths, True, enforce_sorted=False)
        return self.tag(pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0])


class Wrapped(nn.Module):
    """Puts `module.` before every name, as nn.DataParallel does."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args):
        return self.module(*args)


# Cases


def stack(kind, inputs, hidden, layers=1, **options):
    """A bare nn.RNN, nn.LSTM or nn.GRU."""
    if kind.startswith("rnn-"):
        options["nonlinearity"] = kind[4:]
    return KINDS[kind](inputs, hidden, layers, **options)


def example(module, steps, batch, state=False):
    """Random arguments for a bare stack: the input and, on request, a non-zero state.

    input [T, N, I], or [N, T, I] with batch_first, or [T, I] where `batch` is None
    """
    lanes = () if batch is None else (batch,)
    shape = lanes + (steps,) if module.batch_first else (steps,) + lanes
    x = torch.randn(shape + (module.input_size,))
    if not state:
        return (x,)
    rows = module.num_layers * (2 if module.bidirectional else 1)
    h_0 = torch.randn((rows,) + lanes + (module.proj_size or module.hidden_size,))
    if not isinstance(module, nn.LSTM):
        return x, h_0
    return x, (h_0, torch.randn((rows,) + lanes + (module.hidden_size,)))


CASES = {}


def case(name, build, **options):
    """`build()` gives (model, positional arguments of its forward); `options` go to export()."""
    assert name not in CASES, name
    CASES[name] = build, options


def bare(name, kind, inputs, hidden, layers=1, *, steps=5, batch=3, state=False, dtype=None,
         lengths=None, intermediates=False, **options):
    """A case whose model is a bare stack; with `lengths` its input is packed."""

    def build():
        module = stack(kind, inputs, hidden, layers, **options)
        args = example(module, steps, len(lengths) if lengths else batch, state)
        if lengths:
            is_sorted = lengths == sorted(lengths, reverse=True)
            args = (pack_padded_sequence(args[0], torch.tensor(lengths), module.batch_first,
                                         enforce_sorted=is_sorted),) + args[1:]
        return (module.to(dtype) if dtype else module), args

    case(name, build, intermediates=intermediates)


def headed(name, make, *shape):
    """A case whose model has a head, with random input of `shape`."""
    case(name, lambda: (make(), (torch.randn(shape),)))


def worked_example(batch_first):
    """nn.RNN with T=4, N=2, I=3, H=5, 2 layers on the inputs 0.1, 0.2, … 2.4."""
    module = nn.RNN(3, 5, 2, batch_first=batch_first)
    x = torch.from_numpy((np.arange(1, 25) / 10).astype(np.float32)).reshape(4, 2, 3)
    x = x.transpose(0, 1).contiguous() if batch_first else x
    with torch.no_grad():
        output, h_n = module(x)
    last = output[:, -1] if batch_first else output[-1]
    assert torch.equal(last, h_n[1])
    return module, (x,)


def zero_state():
    """GRU given h_0 = 0: the same as no state, and b_hn still counts in the first step."""
    module = nn.GRU(3, 5, 2)
    x = torch.randn(5, 3, 3)
    h_0 = torch.zeros(2, 3, 5)
    assert all(module.bias_hh_l0[10:].abs() > 0)
    with torch.no_grad():
        assert torch.equal(module(x, h_0)[0], module(x)[0])
    return module, (x, h_0)


case("example-time-major", lambda: worked_example(False))
case("example-batch-first", lambda: worked_example(True))

SIZES = {"rnn-tanh": (3, 5), "lstm": (5, 4), "gru": (4, 3)}  # input, hidden
for _kind, _layers, _way, _bias in itertools.product(SIZES, (1, 3), ("uni", "bi"),
                                                     ("bias", "nobias")):
    bare(f"{_kind}-l{_layers}-{_way}-{_bias}", _kind, *SIZES[_kind], _layers,
         bidirectional=_way == "bi", bias=_bias == "bias",
         state=(_layers == 3) != (_way == "bi"))

bare("rnn-relu-l1", "rnn-relu", 3, 5)
bare("rnn-relu-l3", "rnn-relu", 3, 5, 3, state=True)
bare("rnn-relu-bi", "rnn-relu", 3, 5, 2, bidirectional=True, state=True)

bare("lstm-proj-l1", "lstm", 4, 6, proj_size=3, state=True)
bare("lstm-proj-l2", "lstm", 4, 6, 2, proj_size=3)
bare("lstm-proj-l2-bi", "lstm", 4, 6, 2, proj_size=3, bidirectional=True, state=True)

bare("lstm-unbatched", "lstm", 4, 5, 2, batch=None)
bare("gru-unbatched-state", "gru", 4, 5, 2, batch=None, state=True)
bare("rnn-unbatched-bi", "rnn-tanh", 4, 5, 2, batch=None, bidirectional=True)

bare("rnn-state", "rnn-tanh", 3, 5, 2, state=True)
bare("lstm-state", "lstm", 3, 5, 2, state=True)
bare("gru-state", "gru", 3, 5, 2, state=True)
case("gru-zero-state", zero_state)

for _kind in SIZES:
    bare(f"{_kind}-one-step", _kind, 4, 5, 2, steps=1, state=True)
    bare(f"{_kind}-one-lane", _kind, 4, 5, 2, batch=1)
    bare(f"{_kind}-one-unit", _kind, 2, 1, 2, state=True)
    bare(f"{_kind}-odd-sizes", _kind, 19, 37, state=True)   # no multiples of 16
    bare(f"{_kind}-over-blocks", _kind, 70, 48, steps=3)    # sums longer than blocks of 32 and 64
bare("lstm-one-of-everything", "lstm", 1, 1, steps=1, batch=1)
bare("gru-odd-sizes-bi", "gru", 17, 21, 2, bidirectional=True)

bare("rnn-batch-first", "rnn-tanh", 4, 5, 2, batch_first=True, state=True)
bare("lstm-batch-first", "lstm", 4, 5, 2, batch_first=True, state=True)
bare("lstm-batch-first-bi", "lstm", 4, 5, 2, batch_first=True, bidirectional=True)
bare("gru-batch-first", "gru", 4, 5, 2, batch_first=True)
bare("gru-batch-first-bi", "gru", 4, 5, 2, batch_first=True, bidirectional=True, state=True)

bare("lstm-long", "lstm", 3, 8, steps=200, batch=2)
bare("lstm-dropout", "lstm", 4, 5, 2, dropout=0.5)

bare("lstm-float16", "lstm", 4, 5, 2, dtype=torch.float16, state=True)
bare("gru-float16", "gru", 4, 5, 2, dtype=torch.float16)
bare("lstm-bfloat16", "lstm", 4, 5, 2, dtype=torch.bfloat16)
bare("gru-bfloat16", "gru", 4, 5, 2, dtype=torch.bfloat16, state=True)
bare("lstm-float64", "lstm", 4, 5, 2, dtype=torch.float64)
bare("gru-float64", "gru", 4, 5, 2, dtype=torch.float64, state=True)

headed("head-tagger", Tagger, 5, 3, 4)
headed("head-classifier", Classifier, 3, 5, 4)
headed("head-bi-encoder", BiEncoder, 5, 3, 4)
headed("head-h-n", FinalState, 5, 3, 3)
headed("head-softmax", lambda: Headed(nn.GRU(4, 6), nn.Softmax(dim=-1)), 5, 3, 4)
headed("head-relu", lambda: Headed(nn.LSTM(4, 6, bidirectional=True), nn.ReLU()), 5, 3, 4)
headed("head-tanh", lambda: Headed(nn.RNN(4, 6, batch_first=True), nn.Tanh()), 3, 5, 4)
headed("head-unbatched", lambda: Headed(nn.LSTM(1, 6), nn.Identity(), size=1), 7, 1)
headed("wrapped-module", lambda: Wrapped(Tagger()), 5, 3, 4)

for _kind, _way in itertools.product(SIZES, ("uni", "bi")):
    bare(f"lengths-{_kind}-{_way}", _kind, *SIZES[_kind], 2, bidirectional=_way == "bi",
         lengths=[2, 5, 1, 4])
bare("lengths-sorted", "lstm", 4, 5, lengths=[5, 3, 3, 1], bidirectional=True)
bare("lengths-equal", "gru", 4, 5, 2, lengths=[5, 5], state=True)
bare("lengths-one-lane", "rnn-relu", 4, 5, lengths=[5], bidirectional=True)
bare("lengths-lstm-state", "lstm", 3, 5, 2, lengths=[1, 4, 5], state=True)
bare("lengths-gru-state-bi", "gru", 3, 5, 2, lengths=[3, 5, 1], state=True, bidirectional=True)
bare("lengths-lstm-batch-first-bi", "lstm", 4, 5, 2, lengths=[3, 1, 5], state=True,
     batch_first=True, bidirectional=True)
bare("lengths-rnn-batch-first", "rnn-tanh", 4, 5, 2, lengths=[1, 5, 2], batch_first=True)
bare("lengths-lstm-proj-bi", "lstm", 4, 6, 2, lengths=[2, 5, 3], state=True, proj_size=3,
     bidirectional=True)
bare("lengths-many-lanes", "lstm", 6, 18, lengths=[5 * _k % 7 + 1 for _k in range(19)], steps=7,
     bidirectional=True)


def packed(name, make, lengths):
    """A model called with x, padded to two steps more than the longest sequence, and lengths."""

    def build():
        model = make()
        steps, lanes = max(lengths) + 2, len(lengths)
        shape = (lanes, steps) if model.rnn.batch_first else (steps, lanes)
        return model, (torch.randn(shape + (model.rnn.input_size,)), torch.tensor(lengths))

    case(name, build)


packed("packed-last", lambda: Packed(nn.GRU(4, 5, batch_first=True), "last"), [2, 4, 1])
packed("packed-last-bi", lambda: Packed(nn.LSTM(4, 5, bidirectional=True), "last"), [2, 4, 1])
packed("packed-all", lambda: Packed(nn.LSTM(4, 5, batch_first=True), "all"), [3, 1, 4])
packed("packed-h-n", lambda: Packed(nn.GRU(4, 5, 2, bidirectional=True), "h_n"), [1, 4, 3])

bare("intermediates-lstm-proj-bi", "lstm", 4, 6, 2, proj_size=3, bidirectional=True, state=True,
     intermediates=True)
bare("intermediates-gru", "gru", 4, 5, 2, state=True, intermediates=True)
bare("intermediates-gru-nobias-bi", "gru", 4, 5, 2, bias=False, bidirectional=True,
     batch_first=True, intermediates=True)
bare("intermediates-rnn", "rnn-tanh", 3, 5, 2, bidirectional=True, intermediates=True)
bare("intermediates-unbatched", "lstm", 4, 5, 2, batch=None, state=True, intermediates=True)
bare("intermediates-lengths", "lstm", 4, 5, 2, lengths=[2, 5, 1], bidirectional=True, state=True,
     intermediates=True)
bare("intermediates-lengths-batch-first", "gru", 4, 5, 2, lengths=[4, 1, 5], bidirectional=True,
     batch_first=True, intermediates=True)

case("encoder-decoder", lambda: (EncoderDecoder(), (torch.randn(5, 2, 4), torch.randn(4, 2, 3))))
case("stacked-kinds", lambda: (StackedKinds(), (torch.randn(5, 3, 4),)))
case("stacked-tokens", lambda: (StackedTokens(), (torch.randint(9, (3, 5)),)))


def convolution():
    """With statistics in the normalisation that are not those of a new module."""
    model = ConvolutionGRU()
    with torch.no_grad():
        model.norm.running_mean.copy_(torch.randn(4) / 4)
        model.norm.running_var.copy_(torch.rand(4) + 0.5)
    return model, (torch.randn(2, 3, 6),)


case("convolution-gru", convolution)


def cell(name, make, *shapes, state=()):
    """A case whose model is a cell: its input has the first shape, its state the others."""
    case(name, lambda: (make(), (torch.randn(shapes[0]),) + (
        (tuple(map(torch.randn, state)) if len(state) > 1 else torch.randn(state[0]),)
        if state else ())))


cell("cell-lstm", lambda: nn.LSTMCell(4, 5), (3, 4), state=((3, 5), (3, 5)))
cell("cell-lstm-no-state", lambda: nn.LSTMCell(4, 5), (3, 4))
cell("cell-gru", lambda: nn.GRUCell(4, 5), (3, 4), state=((3, 5),))
cell("cell-gru-nobias", lambda: nn.GRUCell(4, 5, bias=False), (3, 4), state=((3, 5),))
cell("cell-rnn-relu", lambda: nn.RNNCell(4, 5, nonlinearity="relu"), (3, 4), state=((3, 5),))
cell("cell-lstm-unbatched", lambda: nn.LSTMCell(4, 5), (4,), state=((5,), (5,)))
case("cells-lstm", lambda: (CellLoop(nn.LSTMCell), (
    torch.randn(4, 2, 3), (torch.randn(2, 5), torch.randn(2, 5)),
    (torch.randn(2, 4), torch.randn(2, 4)))))
case("cells-gru", lambda: (CellLoop(nn.GRUCell), (
    torch.randn(4, 2, 3), torch.randn(2, 5), torch.randn(2, 4))))

case("tokens-lstm", lambda: (CharModel(), (torch.randint(11, (2, 6)),)))
case("tokens-unbatched", lambda: (CharModel(), (torch.randint(11, (6,)),)))
case("tokens-gru-softmax", lambda: (TokenClassifier(), (torch.randint(7, (5, 3)),)))
case("tokens-lengths", lambda: (PackedTokens(), (torch.randint(1, 8, (3, 6)),
                                                 torch.tensor([2, 6, 3]))))
case("tokens-float64", lambda: (CharModel().double(), (torch.randint(11, (2, 6)),)))
case("tokens-bfloat16", lambda: (CharModel().bfloat16(), (torch.randint(11, (2, 6)),)))


def mixed_dtypes():
    """An embedding in bfloat16 before a GRU in float64, as a half-converted model has them."""
    model = TokenClassifier()
    model.tokens.bfloat16()
    model.encoder.double()
    return model, (torch.randint(7, (5, 3)),)


case("tokens-mixed-dtypes", mixed_dtypes)


# Making and checking


def make(name, folder):
    """Write the two files of the case `name` into `folder`/`name`."""
    # The two layouts of the worked example share their seed: same weights, same sequences.
    seed = zlib.crc32(("example" if name.startswith("example-") else name).encode()) % 2**31
    torch.manual_seed(seed)
    build, options = CASES[name]
    model, args = build()
    target = os.path.join(folder, name)
    os.makedirs(target, exist_ok=True)
    export(model, os.path.join(target, "model.h5"), args, seed=seed,
           golden=os.path.join(target, "golden.h5"), **options)


def check_worked_example(folder):
    """The two layouts hold the same weights and, transposed, the same numbers."""
    files = [contents(os.path.join(folder, f"example-{layout}", "golden.h5"))[0]
             for layout in ("time-major", "batch-first")]
    time_major, batch_first = ({name: array for name, (_, array) in file.items()}
                               for file in files)
    assert time_major["output"].shape == (4, 2, 5) and batch_first["output"].shape == (2, 4, 5)
    assert np.array_equal(time_major["output"], batch_first["output"].swapaxes(0, 1))
    for golden in (time_major, batch_first):
        assert golden["h_n"].shape == (2, 2, 5)
    assert np.array_equal(time_major["output"][-1], time_major["h_n"][1])


def contents(path):
    """({name: (type, array of the stored bits)}, attributes) of one file.

    float32 and float64 arrays come as such, every other type as unsigned integers.
    """
    tensors, attributes = {}, {}
    with h5py.File(path, "r") as file:
        attributes[""] = {key: value for key, value in file.attrs.items()
                          if key != "torch_version"}
        for name, dataset in file.items():
            kind = dataset.id.get_type()
            # The type itself is asked, because h5py shows bfloat16 as float32.
            plain = {h5py.h5t.IEEE_F32LE.encode(): "<f4", h5py.h5t.IEEE_F64LE.encode(): "<f8"}
            array = np.empty(dataset.shape, plain.get(kind.encode(), f"<u{kind.get_size()}"))
            dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, array, mtype=kind)
            tensors[name] = (kind.encode(), array)
            attributes[name] = dict(dataset.attrs)
    return tensors, attributes


def differences(path, other):
    """What is not the same in two files, one line each."""
    if not os.path.exists(path):
        return ["missing"]
    (tensors, attributes), (tensors2, attributes2) = contents(path), contents(other)
    if list(tensors) != list(tensors2):
        return [f"tensors {sorted(set(tensors) ^ set(tensors2))}"]
    found = [f"attributes of {name or 'the file'}" for name in attributes
             if attributes[name] != attributes2[name]]
    for name, (kind, array) in tensors.items():
        kind2, array2 = tensors2[name]
        if kind != kind2 or array.shape != array2.shape:
            found.append(f"{name}: type or shape")
        elif array.tobytes() != array2.tobytes():
            result = path.endswith("golden.h5") and name.split(".")[-1] not in RECORDED
            limit = TOLERANCE.get(str(array.dtype), 0) if result else 0
            error = np.max(np.abs(array.astype(np.float64) - array2.astype(np.float64)))
            if not error <= limit or not limit:
                found.append(f"{name}: off by {error:g}, allowed {limit:g}" if limit
                             else f"{name}: bits")
    return found


def check(names):
    """Make `names` anew elsewhere and compare; returns the exit status."""
    agree = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            make(name, folder)
            found = [f"{name}/{file}: {line}" for file in ("model.h5", "golden.h5")
                     for line in differences(os.path.join(FIXTURES, name, file),
                                             os.path.join(folder, name, file))]
            for line in found:
                print(line)
            agree += not found
    unknown = set(os.listdir(FIXTURES)) - set(CASES) - set(OTHERS)
    unknown = sorted(unknown) if len(names) == len(CASES) else []
    for name in unknown:
        print(f"{name}: no such case in this script")
    print(f"{agree} of {len(names)} cases agree")
    return 0 if agree == len(names) and not unknown else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="CASE", action="append", choices=list(CASES),
                        help="this case alone; repeatable")
    parser.add_argument("--check", action="store_true",
                        help="compare with the files that are there: weights, inputs and "
                             "attributes to the bit, float32 results to 1e-6, float64 to 1e-12")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    args = parser.parse_args()
    names = args.only or list(CASES)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
    if args.list:
        print("\n".join(names))
        return 0
    if args.check:
        return check(names)
    if not args.only and os.path.isdir(FIXTURES):
        for name in set(os.listdir(FIXTURES)) - set(OTHERS):
            shutil.rmtree(os.path.join(FIXTURES, name))
    for name in names:
        make(name, FIXTURES)
    if not args.only:
        check_worked_example(FIXTURES)
    size = sum(os.path.getsize(os.path.join(folder, file))
               for folder, _, files in os.walk(FIXTURES) for file in files)
    print(f"{len(names)} cases made; {len(CASES)} in all, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
