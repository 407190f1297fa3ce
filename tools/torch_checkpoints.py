"""Variants of fixtures/torch: what stands around a state dict."""

import argparse
import collections
import datetime
import io
import os
import shutil
import tempfile

import numpy as np
import torch
from torch import nn

from torch_fixture import answer, held, load, savable
from torch_models import Hooked, Tagger, golden_of

VARIANTS = []


def variant(function):
    """Add a function to the list; its name is the file's."""
    VARIANTS.append(function)
    return function


def prefixed(prefix, state):
    return collections.OrderedDict((prefix + name, value) for name, value in state.items())


@variant
def checkpoint(folder):
    """Model, optimiser and progress, as the tutorials have it."""
    model = Tagger()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    model(torch.randn(4, 2, 3)).sum().backward()
    optimiser.step()
    golden = golden_of(model.rnn, torch.randn(4, 2, 3), model.head)
    folder.save("checkpoint.pt", {
        "epoch": 3, "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimiser.state_dict(), "loss": 0.25,
    }, key="model_state_dict", golden=golden, convert=["--set", "head_activation=none"])


@variant
def lightning(folder):
    """The shape of a Lightning checkpoint: the state dict among much else."""
    model = Tagger()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    folder.save("lightning.ckpt", {
        "epoch": 1, "global_step": 20, "pytorch-lightning_version": "2.0.0",
        "state_dict": prefixed("model.", model.state_dict()),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {
            "best_model_score": torch.tensor(0.5), "best_model_path": "a.ckpt"}},
        "optimizer_states": [optimiser.state_dict()], "lr_schedulers": [],
        "hyper_parameters": argparse.Namespace(hidden=4, layers=2, name="tagger"),
        "hparams_name": "kwargs",
    }, key="state_dict")


@variant
def beside(folder):
    """What a training script keeps beside the state dict: mappings of names to tensors as well."""
    model = Tagger()
    golden = golden_of(model.rnn, torch.randn(4, 2, 3), model.head)
    folder.save("beside.ckpt", {
        "state_dict": model.state_dict(),
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {
            "best_model_score": torch.tensor(0.5),
            "best_k_models": {"a.ckpt": torch.tensor(0.5), "b.ckpt": torch.tensor(1.0)}}},
        "metrics": {"loss": torch.tensor(0.25)},
        "scaler": {"mean": torch.randn(3), "std": torch.rand(3)},
        "hyper_parameters": {"class_weights": torch.rand(2)},
        "random_states_0": {"cpu": torch.get_rng_state()[:16].clone()},
    }, key="state_dict", golden=golden, convert=["--set", "head_activation=none"])


@variant
def averages(folder):
    """Two state dicts: the model, and the moving average of it."""
    model, average = Tagger(), Tagger()
    folder.save("averages.pt", {"model": model.state_dict(), "ema": average.state_dict()},
                key="ema")


@variant
def shadow_parameters(folder):
    """A moving average as a list, without names."""
    model = Tagger()
    folder.save("shadow-parameters.pt", {
        "decay": 0.99, "num_updates": 10, "collected_params": None,
        "shadow_params": [parameter.detach().clone() for parameter in model.parameters()],
        "model": model.state_dict()}, key="model")


@variant
def data_parallel(folder):
    folder.save("data-parallel.pt", nn.DataParallel(Tagger()).state_dict())


@variant
def compiled(folder):
    """Prefixes in every order."""
    state = Tagger().state_dict()
    folder.save("compiled.pt", prefixed("_orig_mod.module._orig_mod.", state))


@variant
def deep(folder):
    """A state dict far down, with a prefix of its own."""
    module = nn.GRU(3, 4, batch_first=True)
    golden = golden_of(module, torch.randn(2, 5, 3))
    folder.save("deep.pt", {"run": {"best": {"weights": prefixed("net.gru.", module.state_dict()),
                                             "score": 0.5}}, "version": 2},
                golden=golden, convert=["--prefix", "net.gru.", "--set", "batch_first=true"])


@variant
def weight_norm(folder):
    """torch.nn.utils.weight_norm: _g and _v."""
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)),
                          nn.utils.weight_norm(nn.Linear(4, 2), dim=None))
    model.rnn = nn.utils.weight_norm(nn.LSTM(2, 3), "weight_hh_l0")
    folder.save("weight-norm.pt", model.state_dict())
    folder.files["weight-norm.pt"]["folded"] = folded(
        model, [("0", "weight"), ("1", "weight"), ("rnn", "weight_hh_l0")])


@variant
def parametrizations(folder):
    """torch.nn.utils.parametrizations.weight_norm: original0 and original1."""
    wrap = nn.utils.parametrizations.weight_norm
    model = nn.Sequential(wrap(nn.Linear(3, 4)))
    model.rnn = wrap(nn.LSTM(3, 2), "weight_hh_l0")
    folder.save("parametrizations.pt", model.state_dict())
    folder.files["parametrizations.pt"]["folded"] = folded(
        model, [("0", "weight"), ("rnn", "weight_hh_l0")])


def folded(model, places):
    """The weights that the normalised ones stand for, as torch computes them."""
    found = []
    for path, name in places:
        module = model
        for step in path.split("."):
            module = getattr(module, step)
        if hasattr(module, name + "_v"):  # computed before each call
            from torch import _weight_norm
            dim = [hook.dim for hook in module._forward_pre_hooks.values()][0]
            g, v = getattr(module, name + "_g"), getattr(module, name + "_v")
            whole = v * (g / v.norm()) if dim in (None, -1) else _weight_norm(v, g, dim)
        else:
            whole = getattr(module, name)
        found.append(answer("%s.%s" % (path, name), whole.detach()))
    return found


@variant
def weight_drop(folder):
    """AWD-LSTM: the weights, and the copy with holes that the module has at the moment."""
    state = nn.LSTM(3, 4, 2).state_dict()
    found = collections.OrderedDict()
    for name, value in state.items():
        if name.startswith("weight_hh"):
            found[name + "_raw"] = value
            found["module." + name] = nn.functional.dropout(value, 0.5)
        else:
            found["module." + name] = value
    folder.save("weight-drop.pt", prefixed("rnns.0.", found))


@variant
def quantised_model(folder):
    """The state dict of a dynamically quantised model."""
    quantise = getattr(torch, "quantization", None) or torch.ao.quantization
    model = quantise.quantize_dynamic(Tagger(), {nn.LSTM, nn.Linear}, dtype=torch.qint8)
    folder.save("quantised-model.pt", model.state_dict())


@variant
def quantised_whole(folder):
    """Quantised models saved whole, whose modules keep their weights in attributes."""
    quantise = getattr(torch, "quantization", None) or torch.ao.quantization
    for name, kinds in (("quantised-head.pt", {nn.Linear}),
                        ("quantised-whole.pt", {nn.LSTM, nn.Linear})):
        model = quantise.quantize_dynamic(Tagger(), kinds, dtype=torch.qint8)
        torch.save(model, folder.place(name))
        folder.record(name, collections.OrderedDict(held(load(folder.place(name)))))


@variant
def hooks(folder):
    """A model with a bound method as a hook, and an object of a class inside its class."""
    model = Hooked()
    folder.save("hooks.pt", {"state_dict": model.state_dict(), "model": model}, key="state_dict",
                modules={"model.rnn": model.rnn})


@variant
def lazy(folder):
    """A lazy layer before its first run, which has a hook of its own."""
    folder.save("lazy.pt", nn.Sequential(nn.LazyLinear(3), nn.GRU(3, 4)))


@variant
def distributed_checkpoint(folder):
    """The files of a directory of torch.distributed.checkpoint."""
    import torch.distributed.checkpoint
    place, back = tempfile.mkdtemp(), os.getcwd()
    try:
        os.chdir(place)
        torch.distributed.checkpoint.save({"model": nn.GRU(3, 4).state_dict()}, checkpoint_id="d")
        for name in (".metadata", "__0_0.distcp"):
            shutil.copy(os.path.join("d", name), folder.place("distributed" + name))
            folder.refuse("distributed" + name, "unsupportedVariant",
                          "a file of torch.distributed.checkpoint")
    finally:
        os.chdir(back)
        shutil.rmtree(place)


@variant
def surroundings(folder):
    """Objects of many classes beside a state dict."""
    point = collections.namedtuple("Point", "x y")
    globals()["Point"] = point
    point.__module__ = __name__
    folder.save("surroundings.pt", savable({
        "state_dict": nn.RNN(3, 4).state_dict(),
        "args": argparse.Namespace(lr=0.1, layers=[1, 2], when=None),
        "time": datetime.datetime(2020, 1, 2, 3, 4, 5), "day": datetime.date(2020, 1, 2),
        "delta": datetime.timedelta(seconds=5), "scalar": np.float64(0.5), "int": np.int64(3),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3), "order": np.array(["a", "b"]),
        "set": {1, 2}, "frozen": frozenset([3]), "tuple": (1, "two", 3.0, None, True),
        "bytes": b"\x00\xff", "bytearray": bytearray(b"ab"), "complex": 1 + 2j,
        "large": 2 ** 100, "negative": -2 ** 70, "counter": collections.Counter("aab"),
        "default": collections.defaultdict(list, a=[1]), "point": point(1, 2),
        "dtype": torch.float32, "device": torch.device("cpu"), "size": torch.Size([2, 3]),
        "range": range(3), "slice": slice(1, 2), "type": nn.LSTM, "function": nn.functional.relu,
        "generator": torch.get_rng_state()[:16].clone(),
        "text": u"\u00e4\u4e2d\U0001F600", "empty": "", "ellipsis": Ellipsis,
    }), key="state_dict")


@variant
def built_in_function(folder):
    """torch.tanh among the settings: pickled as a call of getattr."""
    value = {"state_dict": nn.RNN(3, 4).state_dict(), "activation": torch.tanh}
    torch.save(value, io.BytesIO())  # Python 2 cannot
    folder.save("built-in-function.pt", value)
