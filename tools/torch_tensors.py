"""Variants of fixtures/torch: what a tensor in a state dict can be."""

import collections

import numpy as np
import torch
from torch import nn

from torch_fixture import VERSION, savable
from torch_models import Recogniser, golden_of

VARIANTS = []


def variant(function):
    """Add a function to the list; its name is the file's."""
    VARIANTS.append(function)
    return function


@variant
def lstm(folder):
    folder.save("lstm.pt", nn.LSTM(3, 4, 2, bidirectional=True).state_dict())


@variant
def gru(folder):
    folder.save("gru.pt", nn.GRU(3, 4, 2, bias=False).state_dict())


@variant
def rnn_relu(folder):
    module = nn.RNN(3, 4, nonlinearity="relu")
    golden = golden_of(module, torch.randn(5, 2, 3))
    folder.save("rnn-relu.pt", module.state_dict(), golden=golden,
                convert=["--set", "nonlinearity=relu"])


@variant
def projection(folder):
    module = nn.LSTM(3, 5, 2, proj_size=2, bidirectional=True)
    folder.save("projection.pt", module.state_dict(), golden=golden_of(
        module, torch.randn(4, 2, 3)))


@variant
def recogniser(folder):
    folder.save("recogniser.pt", Recogniser().state_dict())


@variant
def dtypes(folder):
    """Every dtype that this version saves and Strata reads, with the values at the edges."""
    found = collections.OrderedDict()
    inf = float("inf")
    floats = [0.0, -0.0, 1.5, -2.25, inf, -inf, float("nan"), 6e-8, 65504.0]
    for name in ("float64", "float32", "float16", "bfloat16"):
        if hasattr(torch, name):
            found[name] = torch.tensor(floats).to(getattr(torch, name))
    for name in ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"):
        if hasattr(torch, name):
            limits = np.iinfo(name)
            numbers = [0, 1, 5, int(limits.min), int(limits.max)]
            try:
                found[name] = torch.tensor(numbers, dtype=getattr(torch, name))
            except (RuntimeError, TypeError, OverflowError):
                found[name] = torch.from_numpy(np.array(numbers, name))
    if hasattr(torch, "bool"):
        found["bool"] = torch.tensor([True, False, True])
    folder.save("dtypes.pt", savable(found))


@variant
def dtypes_refused(folder):
    """dtypes that are refused by name, beside one that is read."""
    found = collections.OrderedDict(weight=torch.randn(2, 3))
    for name in ("complex64", "complex128", "complex32", "float8_e4m3fn", "float8_e5m2",
                 "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"):
        if not hasattr(torch, name):
            continue
        try:
            found[name] = torch.zeros(2, 2, dtype=getattr(torch, name))
        except (RuntimeError, TypeError):
            continue
    found = savable(found)
    if len(found) == 1:
        raise RuntimeError("no such dtype")
    folder.save("dtypes-refused.pt", found)


@variant
def views(folder):
    """Offsets, strides, expansions, and storages that several tensors share."""
    base = torch.arange(60.0).reshape(5, 4, 3)
    vector = torch.arange(100.0, 120.0)
    folder.save("views.pt", collections.OrderedDict([
        ("whole", base), ("transposed", base[0].t()), ("permuted", base.permute(2, 0, 1)),
        ("row", base[3]), ("column", base[:, 1, :]), ("steps", vector[1::3]),
        ("offset", vector[7:]), ("narrow", base.narrow(1, 1, 2)),
        ("expanded", torch.tensor([[1.0], [2.0]]).expand(2, 4)),
        ("expanded_scalar", torch.tensor(3.0).expand(2, 3)),
        ("overlapping", vector.as_strided((4, 3), (2, 1), 2)),
        ("diagonal", torch.arange(9.0).reshape(3, 3).diagonal()),
        ("integers", torch.arange(12).reshape(3, 4)[:, 1:3].t()),
    ]))


@variant
def flattened(folder):
    """All weights of an LSTM on one storage, as cuDNN leaves them."""
    module = nn.LSTM(3, 4, 2)
    whole = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])
    found, start = collections.OrderedDict(), 0
    for name, parameter in module.named_parameters():
        found[name] = whole[start:start + parameter.numel()].view(parameter.shape)
        start += parameter.numel()
    folder.save("flattened.pt", found, golden=golden_of(module, torch.randn(4, 2, 3)))


@variant
def empties(folder):
    found = collections.OrderedDict([
        ("none", torch.zeros(0)), ("rows", torch.zeros(0, 3)), ("columns", torch.zeros(3, 0)),
        ("integers", torch.zeros(2, 0, 4, dtype=torch.int64)), ("scalar", torch.tensor(2.5)),
        ("counter", torch.tensor(7)), ("ones", torch.ones(1, 1, 1, 1)),
    ])
    if VERSION >= (1, 3):  # 1.0 cannot load what it saved
        found["empty_view"] = torch.arange(4.0)[4:]
    folder.save("empties.pt", found)


@variant
def tied(folder):
    """One tensor under two names."""
    embedding, head = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
    head.weight = embedding.weight
    folder.save("tied.pt", nn.ModuleDict({"embedding": embedding, "head": head}).state_dict())


@variant
def parameters(folder):
    """Parameter objects, buffers, and a parameter without gradient."""
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    module[0].bias.requires_grad = False
    found = collections.OrderedDict(module.named_parameters())
    found.update(module.named_buffers())
    folder.save("parameters.pt", found)


@variant
def attributes(folder):
    """A tensor and a parameter with attributes of their own."""
    weight, plain = nn.Parameter(torch.randn(2, 3)), torch.randn(2)
    weight.is_shared, plain.note = True, "a note"
    folder.save("attributes.pt", collections.OrderedDict([("weight", weight), ("plain", plain)]))


@variant
def negative_bit(folder):
    """A real view of a conjugated tensor: its numbers are stored with the other sign."""
    whole = torch.complex(torch.arange(4.0), torch.arange(4.0) + 10)
    negative = whole.conj().imag
    if not negative.is_neg():
        raise RuntimeError("no negative bit")
    folder.save("negative-bit.pt", collections.OrderedDict([
        ("weight", torch.randn(2, 3)), ("negative", negative)]))


@variant
def sparse(folder):
    whole = torch.eye(3)
    found = collections.OrderedDict([("weight", torch.randn(2, 3)), ("coo", whole.to_sparse())])
    if VERSION >= (1, 13):  # 1.10 crashes
        found["csr"] = whole.to_sparse_csr()
    folder.save("sparse.pt", found)


@variant
def quantised(folder):
    """Tensors of quantised integers, by tensor and by channel."""
    whole = torch.randn(2, 3)
    folder.save("quantised.pt", collections.OrderedDict([
        ("weight", whole),
        ("tensor", torch.quantize_per_tensor(whole, 0.1, 3, torch.qint8)),
        ("channels", torch.quantize_per_channel(
            whole, torch.tensor([0.1, 0.2], dtype=torch.float64), torch.tensor([0, 1]), 0,
            torch.qint8)),
    ]))


@variant
def nested_tensor(folder):
    nested = torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(1, 3)])
    folder.save("nested-tensor.pt", collections.OrderedDict([
        ("weight", torch.randn(2, 3)), ("nested", nested)]))


@variant
def meta(folder):
    """A tensor without numbers."""
    folder.save("meta.pt", collections.OrderedDict([
        ("weight", torch.randn(2, 3)), ("meta", torch.empty(2, 3, device="meta"))]))


@variant
def distributed(folder):
    """A DTensor, of a group of one process."""
    import os
    import tempfile
    from torch import distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import distribute_tensor
    place = os.path.join(tempfile.mkdtemp(), "store")
    dist.init_process_group("gloo", store=dist.FileStore(place, 1), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        folder.save("distributed.pt", collections.OrderedDict([
            ("weight", torch.randn(2, 3)),
            ("dtensor", distribute_tensor(torch.randn(2, 3), mesh))]))
    finally:
        dist.destroy_process_group()
