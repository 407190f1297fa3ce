"""Random checkpoints of every variant, converted by Strata into every format: are the bits kept?

Each checkpoint is written by the framework itself (torch, safetensors, NumPy, h5py), converted by
`strata convert`, and the result is read by the framework itself. Names, dtypes, shapes and bits are
compared. What a target cannot hold has to be the named error. Called by crosscheck.py --formats.
"""

import collections
import json
import os
import random
import subprocess
import tempfile

import h5py
import numpy as np
import safetensors.torch
import torch
from torch import nn

from make_hdf5_fixtures import bfloat16, write
from read_strata import read_strata

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
         torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
         torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16", torch.uint8: "U8",
         torch.bool: "BOOL"}
ARRAYS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1"}
WIDTHS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Disagreement(Exception):
    """What is otherwise, in a few words."""


def bits(tensor):
    """(dtype, shape, bytes) of a torch tensor."""
    whole = tensor.detach().resolve_neg().clone(memory_format=torch.contiguous_format)
    raw = whole.reshape(-1).view(torch.uint8).numpy().tobytes() if whole.numel() else b""
    return NAMES[tensor.dtype], tuple(tensor.shape), raw


def held(array, dtype=None):
    """(dtype, shape, bytes) of a NumPy array; `dtype` where NumPy has none for it."""
    little = array.astype(array.dtype.newbyteorder("<")) if dtype is None else array
    names = {np.dtype(code): name for name, code in ARRAYS.items()}
    return dtype or names[little.dtype], array.shape, little.tobytes()


# What is random


class Dice:
    """Random names and tensors, from a seed and a number."""

    def __init__(self, seed, number):
        self.random = random.Random(f"formats/{seed}/{number}")
        self.torch = torch.Generator().manual_seed(self.random.randrange(2**31))

    def tensor(self, dtypes=tuple(NAMES)):
        """Any bits, NaN payloads too, in any order that torch knows."""
        dtype = self.random.choice(dtypes)
        rank = self.random.choice((0, 1, 1, 2, 2, 2, 3, 4))
        shape = [self.random.choice((0, 1, 1, 2, 3, 5, 8)) if self.random.random() < 0.3
                 else self.random.randint(1, 7) for _ in range(rank)]
        tensor = self.filled(shape, dtype)
        return self.viewed(tensor) if self.random.random() < 0.6 else tensor

    def filled(self, shape, dtype):
        if dtype == torch.bool:
            return torch.randint(2, shape, generator=self.torch).bool()
        width = torch.empty(0, dtype=dtype).element_size()
        limit = 2 ** (8 * width - 1)
        numbers = torch.randint(-limit, limit - 1, shape, generator=self.torch)
        return numbers.to(WIDTHS[width]).view(dtype) if width > 1 else numbers.to(dtype)

    def viewed(self, tensor):
        """A tensor that does not lie in its storage as it is numbered."""
        kind = self.random.randrange(5)
        if kind == 0 and tensor.dim() > 1:
            return tensor.transpose(*self.random.sample(range(tensor.dim()), 2))
        if kind == 1 and tensor.dim():
            return tensor[self.random.randrange(tensor.shape[0] + 1):]
        if kind == 2 and tensor.dim():
            return tensor[::self.random.randint(1, 3)]
        if kind == 3:
            return tensor.unsqueeze(-1).expand(*tensor.shape, self.random.randint(1, 4))
        return tensor.permute(*reversed(range(tensor.dim()))) if tensor.dim() else tensor

    def name(self, taken):
        while True:
            steps = [self.random.choice((
                "encoder", "decoder", "block", "conv1", "norm", "0", "1", "12", "größe", "层"))
                for _ in range(self.random.randint(0, 3))]
            name = ".".join(steps + [self.random.choice(("kernel", "gamma", "mean", "table", "x"))
                                     + str(self.random.randrange(100))])
            if name not in taken:
                return name

    def state_dict(self, dtypes=tuple(NAMES), is_plain=False):
        """Names and tensors, some on one storage; perhaps a recurrent stack among them."""
        found = collections.OrderedDict()
        for _ in range(self.random.randint(1, 12)):
            tensor = self.tensor(dtypes)
            found[self.name(found)] = tensor.clone() if is_plain else tensor
            if not is_plain and self.random.random() < 0.2:
                found[self.name(found)] = tensor  # the same, again
        if self.random.random() < 0.4:
            stack = self.random.choice((nn.LSTM, nn.GRU))(
                self.random.randint(1, 5), self.random.randint(1, 5), self.random.randint(1, 2),
                bidirectional=self.random.random() < 0.5)
            prefix = self.random.choice(("rnn.", "net.lstm."))  # what stands beside it is its own
            for name, value in stack.state_dict().items():
                found[prefix + name] = self.filled(value.shape, torch.float32) \
                    if self.random.random() < 0.5 else value.clone()
        return found

    def module(self):
        """A module with parameters and buffers of several dtypes."""
        class Model(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x

        model = Model()
        children = [nn.Linear(3, 4), nn.LSTM(3, 4, bidirectional=True), nn.GRU(2, 3, 2),
                    nn.Conv1d(2, 3, 3), nn.BatchNorm1d(4), nn.Embedding(5, 2)]
        for child in self.random.sample(children, self.random.randint(1, 3)):
            model.add_module(f"part{len(model._modules)}", child)
        for index in range(self.random.randint(0, 3)):
            model.register_buffer(f"buffer{index}", self.tensor((
                torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64)))
        for parameter in model.parameters():
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=self.torch))
        return model


# What writes: each returns (state dict as (dtype, shape, bytes) by name, arguments for convert)


def of(state):
    return {name: bits(tensor) for name, tensor in state.items()}


def torch_zip(dice, path):
    state = dice.state_dict()
    content, options = nested(dice, state)
    protocol = dice.random.choice((2, 2, 2, 3, 4, 5))
    torch.save(content, path, pickle_protocol=protocol)
    return of(state), options


def nested(dice, state):
    """The state dict alone, or as part of more; and the arguments that find it again."""
    kind = dice.random.randrange(4)
    if kind == 0:
        return {"epoch": 3, "model": state, "history": [0.5, 0.25]}, []
    if kind == 1:
        other = {"a": torch.zeros(2)}
        return {"run": {"best": state, "last": other}}, ["--key", "run.best"]
    return (dict(state) if kind == 2 else state), []


def torch_legacy(dice, path):
    state = dice.state_dict([dtype for dtype in NAMES if dtype not in (
        torch.uint16, torch.uint32, torch.uint64)])
    content, options = nested(dice, state)
    torch.save(content, path, _use_new_zipfile_serialization=False,
               pickle_protocol=dice.random.randint(2, 5))
    return of(state), options


def whole_module(dice, path):
    # The classes have to be found again by the name of their module: torch's own alone.
    module = nn.Sequential(*dice.module().children())
    torch.save(module, path, _use_new_zipfile_serialization=dice.random.random() < 0.6)
    return of(module.state_dict()), []


def torch_script(dice, path):
    module = dice.module()
    model = torch.jit.script(module) if dice.random.random() < 0.5 else torch.jit.trace(
        module, torch.zeros(1))
    model.save(path)
    return of(module.state_dict()), []


def torch_export(dice, path):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = dice.module()

        def forward(self, x):
            return x + 1

    module = Model()
    program = torch.export.export(module, (torch.zeros(2),))
    torch.export.save(program, path)
    return of(program.state_dict), []


def safetensors_file(dice, path):
    state = {name: tensor.contiguous().clone() for name, tensor in dice.state_dict().items()}
    safetensors.torch.save_file(state, path, {"note": "random"})
    return of(state), []


def safetensors_shards(dice, path):
    state = {name: tensor.contiguous().clone() for name, tensor in dice.state_dict().items()}
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    where = {name: dice.random.choice(names) for name in state}
    for shard in set(where.values()):
        safetensors.torch.save_file({name: tensor for name, tensor in state.items()
                                     if where[name] == shard},
                                    os.path.join(os.path.dirname(path), shard))
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"metadata": {"total_size": 0}, "weight_map": where}, file)
    return of(state), []


def arrays(dice, kinds):
    """A state dict as NumPy arrays, some big-endian, some in Fortran's order."""
    found = {}
    dtypes = [dtype for dtype in NAMES if NAMES[dtype] in kinds]
    for name, tensor in dice.state_dict(dtypes).items():
        array = tensor.numpy()
        if dice.random.random() < 0.3:
            array = array.astype(array.dtype.newbyteorder(">"))
        found[name] = np.asfortranarray(array) if dice.random.random() < 0.3 else array
    return found


def npz(dice, path):
    found = arrays(dice, ARRAYS)
    save = np.savez if dice.random.random() < 0.5 else np.savez_compressed
    save(path, **found)
    return {name: held(array) for name, array in found.items()}, []


def npz_void(dice, path):
    """bfloat16 as NumPy has it: elements of two bytes without a type."""
    state = dice.state_dict((torch.bfloat16,))
    np.savez(path, **{name: np.frombuffer(bits(tensor)[2], "V2").reshape(tensor.shape)
                      if tensor.dtype == torch.bfloat16 else tensor.numpy()
                      for name, tensor in state.items()})
    return of(state), ["--set", "npz_void2=bf16"]


def hdf5(dice, path):
    state, is_nested = dice.state_dict(), dice.random.random() < 0.5
    if is_nested:  # no group may be called what a dataset is called
        state = {f"g.{name}": tensor for name, tensor in state.items()}
    with h5py.File(path, "w") as file:
        for name, tensor in state.items():
            place = name.replace(".", "/") if is_nested else name
            dtype, shape, raw = bits(tensor)
            if dtype == "BF16":
                group = file.require_group(place.rpartition("/")[0] or "/")
                write(group, place.rpartition("/")[2], bfloat16(),
                      np.frombuffer(raw, "<u2").reshape(shape))
            elif tensor.numel() > 4 and dice.random.random() < 0.5:
                file.create_dataset(place, data=tensor.numpy(), compression="gzip", shuffle=True)
            else:
                file.create_dataset(place, data=tensor.numpy())
    return of(state), []


SOURCES = {"torch.save": (torch_zip, "pt"), "torch.save, legacy": (torch_legacy, "pth"),
           "torch.save(module)": (whole_module, "pt"), "torch.jit.save": (torch_script, "pt"),
           "torch.export.save": (torch_export, "pt2"),
           "safetensors": (safetensors_file, "safetensors"),
           "safetensors, sharded": (safetensors_shards, "safetensors.index.json"),
           "numpy.savez": (npz, "npz"), "numpy.savez, bfloat16": (npz_void, "npz"),
           "h5py": (hdf5, "h5")}


# What reads


def read_pytorch(path):
    return of(torch.load(path, weights_only=True))


def read_safetensors(path):
    return of(safetensors.torch.load_file(path))


def read_npz(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: held(file[name], "BF16" if file[name].dtype.str == "|V2" else None)
                for name in file.files}


def read_hdf5(path):
    found = {}
    with h5py.File(path, "r") as file:
        for name, dataset in file.items():
            kind = dataset.id.get_type()
            raw = np.empty(dataset.shape, f"V{kind.get_size()}")
            if raw.size:
                dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, raw, kind)
            is_bfloat16 = (isinstance(kind, h5py.h5t.TypeFloatID) and kind.get_size() == 2
                           and kind.get_fields()[2] == 8)
            dtype = "BF16" if is_bfloat16 else held(np.empty(0, dataset.dtype))[0]
            found[name] = dtype, dataset.shape, raw.tobytes()
    return found


def read_own(path):
    return {name: held(tensor.data, tensor.dtype)
            for name, tensor in read_strata(path).state_dict.items()}


TARGETS = {"strata": (read_own, "strata"), "hdf5": (read_hdf5, "h5"),
           "safetensors": (read_safetensors, "safetensors"), "pytorch": (read_pytorch, "pt"),
           "npz": (read_npz, "npz")}


# The check


def strata_json(strata, *arguments):
    """(exit status, object) of a command."""
    done = subprocess.run([strata, *arguments, "--json"], capture_output=True, text=True,
                          timeout=120)
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        raise Disagreement(f"exit status {done.returncode}, no JSON: {done.stdout[:200]!r} "
                           f"{done.stderr[:300]!r}") from None


def check(strata, source, wanted, options, target, folder, keeps_order):
    """Convert a file and compare; raises Disagreement.

    keeps_order  whether the file has the names in the order in which they were given
    """
    read, extension = TARGETS[target]
    path = os.path.join(folder, f"result.{extension}")
    has_bfloat16 = any(dtype == "BF16" for dtype, _, _ in wanted.values())
    void = ["--set", "npz_void2=bf16"]
    if target == "npz" and has_bfloat16 and void[1] not in options:
        status, said = strata_json(strata, "convert", source, path, *options)
        error = said.get("error", {})
        if status != 2 or error.get("code") != "dtypeUnsupported" \
                or "npz_void2" not in error.get("reason", "") or os.path.exists(path):
            raise Disagreement(f"bfloat16 was to be refused with the option's name: {said}")
        options = options + void
    status, said = strata_json(strata, "convert", source, path, *options)
    if status:
        raise Disagreement(f"convert: exit status {status}, {said.get('error')}")
    found = read(path)
    if set(found) != set(wanted):
        raise Disagreement(f"names: {sorted(set(found) ^ set(wanted))}")
    for name in wanted:
        if found[name] != wanted[name]:
            raise Disagreement(f"{name}: {shown(found[name])}, expected {shown(wanted[name])}")
    is_ordered = target in ("strata", "pytorch", "npz")
    if keeps_order and is_ordered and list(found) != list(wanted):
        raise Disagreement("the order of the names")


def shown(value):
    dtype, shape, raw = value
    return f"{dtype} {list(shape)} {raw.hex()[:80]}"


def made(make, seed, name, path):
    """A checkpoint in a file; where the framework fails to write one of its own, the next one."""
    for attempt in range(8):
        try:
            return make(Dice(seed, f"{name}/{attempt}" if attempt else name), path)
        except RuntimeError as error:
            print(f"{name}: the framework cannot write it: {error}")
    raise SystemExit(f"{name}: the framework writes none of 8 checkpoints")


def crosscheck(strata, count, seed, only=None, keep=None):
    """Make `count` checkpoints of each variant; returns {source: {target: (agreed, of)}}."""
    matrix = {source: {target: [0, 0] for target in TARGETS} for source in SOURCES}
    for number in only or range(count):
        for source, (make, extension) in SOURCES.items():
            with tempfile.TemporaryDirectory(prefix="strata-formats-") as elsewhere:
                folder = elsewhere
                if keep:
                    folder = os.path.join(keep, f"{number}-{make.__name__}")
                    os.makedirs(folder, exist_ok=True)
                path = os.path.join(folder, f"model.{extension}")
                wanted, options = made(make, seed, f"{source}/{number}", path)
                for target in TARGETS:
                    matrix[source][target][1] += 1
                    try:
                        check(strata, path, wanted, options, target, folder,
                              source.startswith(("torch", "numpy")))
                        matrix[source][target][0] += 1
                    except (Disagreement, subprocess.TimeoutExpired) as error:
                        print(f"{number}: {source} to {target}: {error}")
    return matrix


def print_matrix(matrix, is_markdown=False):
    """Print how many of how many agreed, a row for each source."""
    rows = [["written by", *TARGETS]] + [
        [source, *("%d of %d" % tuple(cells[target]) for target in TARGETS)]
        for source, cells in matrix.items()]
    if is_markdown:
        rows.insert(1, ["---"] * len(rows[0]))
        print("\n".join("| " + " | ".join(row) + " |" for row in rows))
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
