"""The models of fixtures/torch, small, and what they compute."""

import numpy as np
import torch
from torch import nn


class Tagger(nn.Module):
    """LSTM and a linear head on every step."""

    def __init__(self):
        super(Tagger, self).__init__()
        self.rnn = nn.LSTM(3, 4, bidirectional=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class Wrapper(nn.Module):
    """A part called `module`, whose options shapes do not tell, and a linear head beside it."""

    def __init__(self):
        super(Wrapper, self).__init__()
        self.module = nn.RNN(3, 4, nonlinearity="relu", batch_first=True)
        self.extra = nn.Linear(4, 2)

    def forward(self, x):
        return self.extra(self.module(x)[0])


class Hooked(nn.Module):
    """A GRU with a bound method as a hook; its pickle calls getattr."""

    class Scale(object):
        """A class inside a class."""

        factor = 0.5

    def __init__(self):
        super(Hooked, self).__init__()
        self.rnn = nn.GRU(2, 3)
        self.scale = self.Scale()
        self.rnn.register_forward_hook(self.note)

    def note(self, module, given, result):
        """The hook."""


class Recogniser(nn.Module):
    """Several stacks among layers that are not recurrent."""

    def __init__(self):
        super(Recogniser, self).__init__()
        self.front = nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.ReLU())
        self.encoder = nn.Module()
        self.encoder.rnn = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        self.decoder = nn.Module()
        self.decoder.embedding = nn.Embedding(7, 3)
        self.decoder.rnn = nn.LSTM(3, 5, 2)
        self.decoder.cell = nn.LSTMCell(5, 4)
        self.head = nn.Linear(5, 7)


def hide_sources():
    """Have whole modules saved without the sources of their classes, which old versions add.

    Those are torch's own, with the place where they are installed.
    """
    def hidden(thing, *rest):
        return ["class %s: ...\n" % getattr(thing, "__name__", "Thing")], 1, "source.py"

    serialization = torch.serialization
    if hasattr(serialization, "get_source_lines_and_file"):
        serialization.get_source_lines_and_file = hidden
    elif hasattr(serialization, "inspect"):
        class Sources(object):
            """Of the module `inspect`, the two functions that torch calls."""

            @staticmethod
            def getsourcefile(thing):
                return "source.py"

            @staticmethod
            def getsourcelines(thing):
                return hidden(thing)[:2]

            @staticmethod
            def getsource(thing):
                return hidden(thing)[0][0]

        serialization.inspect = Sources


def golden_of(module, x, head=None):
    """Inputs and outputs of a recurrent module by name, in float32 and in float64.

    x     its input
    head  what follows it, which gives `y`
    """
    lanes = x.shape[0] if module.batch_first else x.shape[1]
    rows = module.num_layers * (2 if module.bidirectional else 1)
    is_lstm = module.mode == "LSTM"
    size = getattr(module, "proj_size", 0) or module.hidden_size
    state = [torch.randn(rows, lanes, size)]
    if is_lstm:
        state.append(torch.randn(rows, lanes, module.hidden_size))
    found = {"input": x.numpy()}
    for name, value in zip(("h_0", "c_0"), state):
        found[name] = value.numpy()
    for suffix, convert in (("", lambda v: v.float()), ("_f64", lambda v: v.double())):
        convert(module)
        given = [convert(value) for value in state]
        with torch.no_grad():
            output, final = module(convert(x), tuple(given) if is_lstm else given[0])
            final = final if is_lstm else (final,)
            found["output" + suffix] = output.numpy()
            for name, value in zip(("h_n", "c_n"), final):
                found[name + suffix] = value.numpy()
            if head is not None:
                convert(head)
                found["y" + suffix] = head(output).numpy()
    module.float()
    if head is not None:
        head.float()
    return {name: np.ascontiguousarray(value) for name, value in found.items()}
