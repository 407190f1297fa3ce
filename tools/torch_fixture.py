"""One folder of fixtures/torch: files of one torch version, and what that torch reads in them.

Runs under every Python from 2.7 on and every torch from 1.0 on.
"""

import io
import json
import os
import re
import struct
import sys
import zipfile
import zlib

import numpy as np
import torch

VERSION = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])
"""(1, 13) for torch 1.13.1."""

NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
         "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint64": "U64",
         "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL"}
"""The dtypes that are to be read; everything else is refused by its name."""


def is_plain(tensor):
    """Whether a tensor is nothing but numbers in an order."""
    return (tensor.layout == torch.strided and not getattr(tensor, "is_quantized", False)
            and not getattr(tensor, "is_nested", False) and not getattr(tensor, "is_meta", False)
            and type(tensor).__name__ != "DTensor")


def dtype_name(tensor):
    """float32 and so on."""
    return str(tensor.dtype).replace("torch.", "")


def digits(tensor):
    """The numbers, row-major and little-endian, in hexadecimal."""
    tensor = tensor.detach().cpu().contiguous()
    if hasattr(tensor, "resolve_neg"):
        tensor = tensor.resolve_neg()
    if dtype_name(tensor) == "bfloat16":
        array = (tensor.float().numpy().view(np.uint32) >> 16).astype("<u2")
    else:
        try:
            array = tensor.numpy()
        except TypeError:  # 1.0 and small integers
            array = np.array(tensor.tolist(), dtype_name(tensor))
        array = array.astype(array.dtype.newbyteorder("<"))
    data = np.ascontiguousarray(array).tobytes()
    return "".join("%02x" % byte for byte in bytearray(data))


def is_packed(value):
    """Whether it is an object of torch's own libraries that keeps weights to itself."""
    return type(value).__name__ == "ScriptObject"


def answer(name, tensor):
    """What expected.json says of a tensor."""
    if is_packed(tensor):
        return {"name": name, "dtype": "unknown", "refused": "unsupportedVariant"}
    if type(tensor).__name__.startswith("Uninitialized"):
        return {"name": name, "dtype": "unknown", "refused": "unsupportedVariant"}
    if getattr(tensor, "is_nested", False):
        return {"name": name, "dtype": dtype_name(tensor), "refused": "unsupportedVariant"}
    said = {"name": name, "shape": list(tensor.shape)}
    if not is_plain(tensor):
        return dict(said, dtype=dtype_name(tensor), refused="unsupportedVariant")
    if dtype_name(tensor) not in NAMES:
        return dict(said, dtype=dtype_name(tensor), refused="dtypeUnsupported")
    return dict(said, dtype=NAMES[dtype_name(tensor)], hex=digits(tensor))


def walk(value, path=()):
    """Every tensor and packed object below dicts, lists and modules: [(path, tensor)]."""
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, torch.Tensor) or is_packed(value):
        return [(".".join(path), value)]
    if isinstance(value, dict):
        return [pair for key in value for pair in walk(value[key], path + (str(key),))]
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return [pair for key, each in enumerate(value) for pair in walk(each, path + (str(key),))]
    return []


def held(module, path=""):
    """Parameters, buffers and packed objects of a module, in the order in which they are read."""
    found = [(path + name, value) for values in (module._parameters, module._buffers)
             for name, value in values.items() if value is not None]
    found += [(path + name, value) for name, value in vars(module).items() if is_packed(value)]
    for name, child in module._modules.items():
        found += held(child, path + name + ".")
    return found


def load(path):
    """torch.load, whatever stands in the file."""
    return torch.load(path, **({"weights_only": False} if VERSION >= (1, 13) else {}))


def savable(values):
    """Those of the objects that this version can save."""
    found = type(values)()
    for name, value in values.items():
        try:
            torch.save(value, io.BytesIO())
        except Exception:  # each version has another one
            continue
        found[name] = value
    return found


class Folder(object):
    """The files of one version, and expected.json."""

    def __init__(self, path):
        self.path, self.files, self.left_out = path, {}, {}
        if not os.path.isdir(path):
            os.makedirs(path)

    def place(self, name):
        return os.path.join(self.path, name)

    def save(self, name, value, **said):
        """torch.save with `options`, and what torch.load gives; `said` as for `record`."""
        # A file object where the name in the archive is not to be the file's stem.
        torch.save(value, self.place(name), **said.pop("options", {}))
        self.record(name, load(self.place(name)), **said)

    def record(self, name, value, key=None, golden=None, convert=(), modules=None):
        """Note what is in a file.

        value    what torch reads
        key      where the state dict stands that is meant, where there are several
        golden   inputs and outputs by name, for a golden file beside it
        convert  more arguments for `strata convert`
        modules  the recurrent modules by path, whose options are to be found
        """
        said = {"tensors": [answer(path, tensor) for path, tensor in walk(value)]}
        if key is not None:
            said["key"] = key
        if golden is not None:
            said["golden"] = name.rsplit(".", 1)[0] + ".golden.npz"
            np.savez(self.place(said["golden"]), **golden)
            make_stable(self.place(said["golden"]))
        if golden is not None or convert:
            said["convert"] = list(convert)
        if modules:
            said["modules"] = {path: options(module) for path, module in modules.items()}
        self.files[name] = said

    def refuse(self, name, code, why):
        """Note that a file as a whole is of a variant that is not read."""
        self.files[name] = {"refused": code, "why": why}

    def leave_out(self, name, error):
        """Note what this version cannot write."""
        for file in os.listdir(self.path):
            if file.split(".")[0] == name.split(".")[0] and file not in self.files:
                os.remove(self.place(file))
        self.left_out[name] = re.sub(r"(0x[0-9a-f]+|/\S+/)", "", str(error)).split("\n")[0][:160]

    def close(self):
        """Write expected.json."""
        said = {"torch": torch.__version__, "python": "%d.%d.%d" % sys.version_info[:3],
                "numpy": np.__version__, "left_out": self.left_out}
        text = json.dumps(said, indent=1, sort_keys=True, separators=(",", ": "))
        lines = ["  %s: %s" % (json.dumps(name), json.dumps(self.files[name], sort_keys=True))
                 for name in sorted(self.files)]
        text = text[:-2] + ',\n "files": {\n' + ",\n".join(lines) + "\n }\n}\n"
        with io.open(self.place("expected.json"), "wb") as file:
            file.write(text.encode("ascii"))


def options(module):
    """What a recurrent module's constructor was told."""
    names = ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
             "bidirectional", "proj_size")
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def make_stable(path):
    """Write a npz anew without the time of day."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


def rewrite(path, change, to=None):
    """Write a torch archive anew, record by record, in torch's own layout.

    change  takes a record's name and contents, returns the contents or None to leave it out
    """
    with open(path, "rb") as file:
        raw = file.read()
    out, directory, count = bytearray(), bytearray(), 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            data = change(member.filename, archive.read(member.filename))
            if data is None:
                continue
            # Unchanged records keep their stored bytes, deflated ones too.
            is_same = data == archive.read(member.filename)
            method = member.compress_type if is_same else 0
            at = member.header_offset
            at += 30 + sum(struct.unpack("<HH", raw[at + 26:at + 30]))
            stored = raw[at:at + member.compress_size] if is_same else data
            name, crc = member.filename.encode("utf-8"), zlib.crc32(data) & 0xFFFFFFFF
            place, padding = len(out), -(len(out) + 30 + len(name) + 4) % 64
            flags = member.flag_bits | 8
            extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
            out += b"PK\x03\x04" + struct.pack("<HHHIIIIHH", 0, flags, method, 0, 0, 0, 0,
                                               len(name), len(extra)) + name + extra + stored
            out += b"PK\x07\x08" + struct.pack("<III", crc, len(stored), len(data))
            directory += b"PK\x01\x02" + struct.pack(
                "<HHHHIIIIHHHHHII", 0, 0, flags, method, 0, crc, len(stored), len(data),
                len(name), 0, 0, 0, 0, 0, place) + name
            count += 1
    end = len(out) + len(directory)
    ends = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 0x031E, 45, 0, 0, count, count,
                                       len(directory), len(out))
    ends += b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    ends += b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(out), 0)
    with open(to or path, "wb") as file:
        file.write(bytes(out + directory + ends))
