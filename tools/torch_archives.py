"""Variants of fixtures/torch: the formats of a file, and what it can hold beside a state dict."""

import collections
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import torch
from torch import nn

from torch_fixture import VERSION, digits, load, rewrite
from torch_models import Tagger, Wrapper, golden_of

VARIANTS = []


def variant(function):
    """Add a function to the list; its name is the file's."""
    VARIANTS.append(function)
    return function


def small():
    """A state dict of some dtypes and a view."""
    whole = torch.randn(4, 3)
    return collections.OrderedDict([
        ("weight", whole), ("transposed", whole.t()), ("count", torch.tensor(3)),
        ("half", torch.randn(5).half()), ("double", torch.randn(2, 2).double())])


@variant
def protocols(folder):
    """Pickle protocols, in the format of this version and, where there are two, in the other."""
    forms = [("", {})]
    if VERSION >= (1, 4):
        forms = [("zip-", {"_use_new_zipfile_serialization": True}),
                 ("legacy-", {"_use_new_zipfile_serialization": False})]
    for form, options in forms:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            name = "%sprotocol-%d.pt" % (form, protocol)
            try:
                folder.save(name, small(), options=dict(options, pickle_protocol=protocol))
            except Exception as error:
                folder.leave_out(name, error)


@variant
def legacy(folder):
    """The format before 1.6, with a model that has a golden."""
    module = nn.RNN(3, 4, 2, bidirectional=True)
    options = {"_use_new_zipfile_serialization": False} if VERSION >= (1, 4) else {}
    folder.save("legacy.pt", {"model": module.state_dict()}, options=options,
                golden=golden_of(module, torch.randn(5, 2, 3)),
                convert=["--set", "nonlinearity=tanh"])


@variant
def file_object(folder):
    """Saved to a file object: the archive's folder is called `archive`."""
    with open(folder.place("file-object.pt"), "wb") as file:
        torch.save(small(), file)
    folder.record("file-object.pt", load(folder.place("file-object.pt")))


@variant
def extension_lies(folder):
    """A state dict in a file called .tar."""
    folder.save("extension-lies.tar", small())


@variant
def tar(folder):
    """The format of 2016, which this version still reads: by hand, as none writes it any more."""
    whole = np.arange(12, dtype="<f4").reshape(3, 4)
    tensors = [(101, (3, 4), (4, 1), 0), (102, (4, 3), (1, 4), 0), (103, (2,), (1,), 5)]
    root = collections.OrderedDict((name, Held(key)) for name, (key, _, _, _) in zip(
        ("weight", "transposed", "part"), tensors))
    parts = {"sys_info": pickled({"protocol_version": 1000, "little_endian": True,
                                  "type_sizes": {"short": 2, "int": 4, "long": 4}}),
             "pickle": pickled(root), "storages": pickled(1) + pickled(
                 (7, "cpu", torch.FloatStorage)) + struct.pack("<q", 12) + whole.tobytes()
             + pickled([]), "tensors": pickled(len(tensors))}
    for key, size, stride, offset in tensors:
        parts["tensors"] += pickled((key, 7, torch.FloatTensor)) + struct.pack(
            "<i4x%dq%dqq" % (len(size), len(size)), len(size), *(size + stride + (offset,)))
    with tarfile.open(folder.place("tar.tar"), "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            member = tarfile.TarInfo(name)
            member.size = len(parts[name])
            archive.addfile(member, io.BytesIO(parts[name]))
    folder.record("tar.tar", load(folder.place("tar.tar")))


class Held(object):
    """Stands for a tensor in a pickle, by its key alone."""

    def __init__(self, key):
        self.key = key


def pickled(value):
    """A pickle in which a tensor is a persistent id."""
    out = io.BytesIO()

    class Pickler(pickle.Pickler, object):
        def persistent_id(self, each):
            return each.key if isinstance(each, Held) else None

    Pickler(out, 2).dump(value)
    return out.getvalue()


@variant
def big_endian(folder):
    """The same archive with every number turned round, as a big-endian machine writes it."""
    if VERSION < (2, 1):
        raise RuntimeError("no byte order in the archive")
    state = small()
    torch.save(state, folder.place("big-endian.pt"))
    widths = {"0": 4, "1": 8, "2": 2, "3": 8}  # storages in the order of their tensors

    def turn(name, data):
        name = name.split("/", 1)[1]
        if name == "byteorder":
            return b"big"
        if name.startswith("data/"):
            width = widths[name[5:]]
            return np.frombuffer(data, "<u%d" % width).astype(">u%d" % width).tobytes()
        return data

    rewrite(folder.place("big-endian.pt"), turn)
    read = load(folder.place("big-endian.pt"))
    for name in state:
        assert digits(read[name]) == digits(state[name]), name
    folder.record("big-endian.pt", read)


@variant
def whole_module(folder):
    """torch.save(module): a module of torch's own."""
    module = nn.LSTM(3, 4, 2, batch_first=True, dropout=0.25)
    module.eval()
    folder.save("whole-module.pt", module, modules={"": module},
                golden=golden_of(module, torch.randn(2, 5, 3)))


@variant
def whole_relu(folder):
    module = nn.RNN(3, 4, nonlinearity="relu", bidirectional=True)
    folder.save("whole-relu.pt", module, modules={"": module},
                golden=golden_of(module, torch.randn(5, 2, 3)))


@variant
def wrapper(folder):
    """A model that calls a part of its own `module`, as data parallelism does, beside another."""
    model = Wrapper()
    folder.save("wrapper.pt", model, modules={"module": model.module},
                golden=golden_of(model.module, torch.randn(2, 4, 3), model.extra),
                convert=["--set", "head_activation=none"])


@variant
def whole_model(folder):
    """torch.save(model): a class of the user's own."""
    model = Tagger()
    folder.save("whole-model.pt", model, modules={"rnn": model.rnn},
                golden=golden_of(model.rnn, torch.randn(4, 2, 3), model.head),
                convert=["--set", "head_activation=none"])


@variant
def module_in_checkpoint(folder):
    """A whole model below a key."""
    folder.save("module-in-checkpoint.pt", {"model": Tagger(), "epoch": 3})


def without_sources(path):
    """Leave out of a TorchScript archive what tells where each line of code came from."""
    rewrite(path, lambda name, data: None if name.endswith(".debug_pkl") else data)


@variant
def script(folder):
    """torch.jit.script of a GRU in a module."""
    class Model(nn.Module):
        def __init__(self):
            super(Model, self).__init__()
            self.gru = nn.GRU(3, 4, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.gru(x)[0])

    model = Model()
    golden = golden_of(model.gru, torch.randn(2, 5, 3), model.head)
    save_script(folder, "script.pt", torch.jit.script(model), golden=golden, convert=[
        "--set", "batch_first=true", "--set", "head_activation=none"])


@variant
def trace(folder):
    """torch.jit.trace of an LSTM."""
    model = Tagger()
    save_script(folder, "trace.pt", torch.jit.trace(model, torch.randn(4, 2, 3)),
                golden=golden_of(model.rnn, torch.randn(4, 2, 3), model.head),
                convert=["--set", "head_activation=none"])


@variant
def frozen(folder):
    """TorchScript whose weights became constants of the code: of all modules, and of one."""
    for name, freeze in (("frozen.pt", torch.jit.freeze),
                         ("frozen-inference.pt", torch.jit.optimize_for_inference)):
        model = freeze(torch.jit.script(Tagger().eval()))
        torch.jit.save(model, folder.place(name))
        without_sources(folder.place(name))
        folder.refuse(name, "unsupportedVariant", "frozen TorchScript")
    model = torch.jit.freeze(torch.jit.script(Tagger().eval()), preserved_attrs=["head"])
    torch.jit.save(model, folder.place("frozen-part.pt"))
    without_sources(folder.place("frozen-part.pt"))
    folder.record("frozen-part.pt", torch.jit.load(folder.place("frozen-part.pt")).state_dict())


def save_script(folder, name, model, **said):
    path = folder.place(name)
    torch.jit.save(model, path)
    without_sources(path)
    state = torch.jit.load(path).state_dict()
    with open(path, "rb") as file:
        has_pickle = b"data.pkl" in file.read()
    if has_pickle:
        folder.record(name, state, **said)
    else:
        folder.refuse(name, "unsupportedVariant",
                      "TorchScript before 1.3, whose tree is a model.json")


@variant
def exported(folder):
    """torch.export of an LSTM."""
    model = Tagger()
    model.eval()
    save_exported(folder, "exported.pt2", model, torch.randn(4, 2, 3), golden=golden_of(
        model.rnn, torch.randn(4, 2, 3), model.head), convert=["--set", "head_activation=none"])


@variant
def exported_buffers(folder):
    """torch.export of layers with buffers, half precision and a constant."""
    class Model(nn.Module):
        def __init__(self):
            super(Model, self).__init__()
            self.normal = nn.BatchNorm1d(3)
            self.head = nn.Linear(3, 2)
            self.constant = torch.arange(3.0)
            self.register_buffer("scale", torch.randn(3).half())
            self.register_buffer("hidden", torch.randn(3), persistent=False)

        def forward(self, x):
            x = self.normal(x) * self.constant * self.scale.float() + self.hidden
            return self.head(x)

    model = Model()
    model.eval()
    save_exported(folder, "exported-buffers.pt2", model, torch.randn(4, 3))


def save_exported(folder, name, model, x, **said):
    program = torch.export.export(model, (x,))
    for node in program.graph.nodes:  # they hold lines of torch's sources, and places
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node"):
            node.meta.pop(key, None)
    path = folder.place(name)
    torch.export.save(program, path)
    folder.record(name, collections.OrderedDict(torch.export.load(path).state_dict), **said)


@variant
def plain_pickle(folder):
    """pickle.dump of a state dict: torch.save was not asked."""
    path = folder.place("plain-pickle.pt")
    with open(path, "wb") as file:
        pickle.dump(collections.OrderedDict(weight=torch.randn(2, 3)), file, 2)
    folder.refuse("plain-pickle.pt", "unsupportedVariant", "pickle.dump instead of torch.save")
    assert os.path.getsize(path) > 0
