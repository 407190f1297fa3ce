#!/usr/bin/env python3
"""The reference readers: answers for files as tools/probe does, in the same words.

    python tools/differential/reference.py safetensors|pytorch|npz|hdf5|strata

A file comes on standard input as the number of its bytes, u32 little-endian, and its bytes; the
answer is framed alike. A line for each tensor: its name in hexadecimal digits, dtype, shape,
data; or "!", the class of the exception, a tab, and what it says.
"""

import io
import os
import resource
import struct
import sys
import warnings

DTYPES = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8",
          "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8", "b1": "BOOL"}
MEMORY = 24 << 30
"""Address space: torch alone maps several GiB of libraries."""


class OtherKind(Exception):
    """The reader accepts it, and it is nothing that Strata has a dtype for."""


def array(value):
    """(dtype, shape, bytes) of a NumPy array, little-endian."""
    code = value.dtype.str[1:]
    if value.dtype.fields or value.dtype.subdtype or code not in DTYPES:
        raise OtherKind(f"dtype {value.dtype}")
    little = value.astype(value.dtype.newbyteorder("<"))
    return DTYPES[code], value.shape, little.tobytes()


def safetensors_reader():
    import safetensors

    def read(data):
        for name, tensor in safetensors.deserialize(data):
            if tensor["dtype"] not in (*DTYPES.values(), "BF16"):
                raise OtherKind(f"dtype {tensor['dtype']}")
            yield name, tensor["dtype"], tensor["shape"], bytes(tensor["data"])
    return read


def npz_reader():
    import numpy

    def read(data):
        loaded = numpy.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            yield ("arr_0", *array(loaded))
            return
        for name in loaded.files:
            value = loaded[name]
            if isinstance(value, numpy.ndarray):
                yield (name, *array(value))
    return read


def pytorch_reader():
    import torch
    torch.set_num_threads(1)
    names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16",
             torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32", torch.int16: "I16",
             torch.int8: "I8", torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16",
             torch.uint8: "U8", torch.bool: "BOOL"}

    def walk(value, path, inside):
        """The tensors inside, called as Strata calls them."""
        if isinstance(value, torch.Tensor):
            if value.dtype not in names or value.layout != torch.strided or value.is_quantized \
                    or value.device.type != "cpu":
                raise OtherKind(f"{value.dtype}, {value.layout}, {value.device}")
            whole = value.detach().resolve_neg().resolve_conj().contiguous()
            data = whole.reshape(-1).view(torch.uint8).numpy().tobytes() if whole.numel() else b""
            yield ".".join(path) or "tensor", names[value.dtype], tuple(value.shape), data
        elif isinstance(value, (dict, list, tuple, set)):
            if id(value) in inside:
                raise OtherKind("a container in itself")
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for place, (key, item) in enumerate(items):
                plain = isinstance(key, (str, int)) and not isinstance(key, bool)
                yield from walk(item, path + [str(key) if plain else f"#{place}"],
                                inside | {id(value)})

    def read(data):
        yield from walk(torch.load(io.BytesIO(data), weights_only=True, map_location="cpu"), [],
                        frozenset())
    return read


def hdf5_reader():
    import h5py

    def read(data):
        found = []
        with h5py.File(io.BytesIO(data), "r") as file:
            def visit(name, item):
                if isinstance(item, h5py.Dataset):
                    if item.shape is None:
                        raise OtherKind("an empty dataspace")
                    value = item[()]
                    if not hasattr(value, "dtype"):
                        raise OtherKind(f"a {type(value).__name__}")
                    found.append((name.replace("/", "."), *array(value)))
            file.visititems(visit)
        return found
    return read


def strata_reader():
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import tempfile

    from read_strata import read_strata

    def read(data):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            found = read_strata(file.name)
        if found.unreadable:
            raise OtherKind("codes of a later version")
        for name, tensor in found.state_dict.items():
            yield name, tensor.dtype, tensor.shape, tensor.data.tobytes()
    return read


READERS = {"safetensors": safetensors_reader, "npz": npz_reader, "pytorch": pytorch_reader,
           "hdf5": hdf5_reader, "strata": strata_reader}


def answer(read, data):
    """What the reader says of a file."""
    try:
        return "\n".join(f"{name.encode('utf-8', 'surrogatepass').hex()} {dtype} "
                         f"[{','.join(map(str, shape))}] {raw.hex()}"
                         for name, dtype, shape, raw in read(data))
    except BaseException as error:  # pylint: disable=broad-except
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"!{type(error).__name__}\t{str(error)[:300]}"


def main():
    warnings.simplefilter("ignore")
    read = READERS[sys.argv[1]]()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    files = sys.stdin.buffer
    while head := files.read(4):
        data = files.read(struct.unpack("<I", head)[0])
        said = answer(read, data).encode()
        answers.write(struct.pack("<I", len(said)) + said)
        answers.flush()


if __name__ == "__main__":
    main()
