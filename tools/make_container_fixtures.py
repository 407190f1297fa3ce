#!/usr/bin/env python3
"""Make fixtures/containers: files of numpy's and safetensors' own writers.

`expected.json` holds the answer for each file:

    {file: {"tensors": {name: {"dtype", "shape", "hex"}}, "metadata": {key: text},
            "refused": {name: code}}}

where `hex` is the data, little-endian and row-major, and `refused` are the tensors that are listed
but not read. An empty hex with "crc32" beside it stands for data that are too long to print.

    python tools/make_container_fixtures.py            make all of them anew
    python tools/make_container_fixtures.py --check    make them elsewhere and compare the answers
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import zlib

import numpy as np
import safetensors
import safetensors.numpy

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                        "fixtures", "containers")
DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
          "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?"}
NAMES = {np.dtype(kind).str[1:]: name for name, kind in DTYPES.items()}
LONGEST = 4096


def bits(generator, kind, shape):
    """Random bits as an array; a bool is 0 or 1."""
    dtype = np.dtype(kind)
    count = int(np.prod(shape, dtype=np.int64))
    raw = generator.integers(0, 256, count * dtype.itemsize, dtype=np.uint8)
    if dtype.kind == "b":
        raw &= 1
    return raw.view(dtype).reshape(shape)


def answer(array, dtype=None):
    """What a tensor must read as."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    data = little.tobytes()
    facts = {"dtype": dtype or NAMES[array.dtype.str[1:]], "shape": list(array.shape), "hex": ""}
    if len(data) > LONGEST:
        facts["crc32"] = zlib.crc32(data)
    else:
        facts["hex"] = data.hex()
    return facts


def every_dtype(generator):
    """A tensor of each dtype in each kind of shape."""
    shapes = {"scalar": (), "none": (3, 0), "one": (1,), "box": (2, 3, 4)}
    return {f"{name}.{shape}": bits(generator, kind, size)
            for name, kind in DTYPES.items() for shape, size in shapes.items()}


def make_npz(folder, generator):
    """What np.savez and np.savez_compressed write."""
    every = every_dtype(generator)
    ordered = {}
    for name, kind in DTYPES.items():
        dtype = np.dtype(kind)
        ordered[f"big.{name}"] = bits(generator, dtype.newbyteorder(">"), (3, 5))
        ordered[f"fortran.{name}"] = np.asfortranarray(bits(generator, dtype, (4, 3, 5)))
    ordered["both"] = np.asfortranarray(bits(generator, ">f4", (7, 2, 1, 3)))
    ordered["large"] = np.asfortranarray(bits(generator, "f4", (30, 40, 11)))
    np.savez(os.path.join(folder, "every.npz"), **every)
    np.savez_compressed(os.path.join(folder, "compressed.npz"), **every)
    np.savez(os.path.join(folder, "orders.npz"), **ordered)
    np.savez_compressed(os.path.join(folder, "orders-compressed.npz"), **ordered)
    np.savez(os.path.join(folder, "none.npz"))
    odd = {
        "complex": np.zeros((2, 2), "c8"), "text": np.array(["a", "bc"]),
        "bytes": np.array([b"a", b"bc"]), "date": np.array(["2020-01-01"], "M8[D]"),
        "span": np.array([1], "m8[s]"), "void": np.zeros(3, "V2"), "wide": np.zeros(3, "V8"),
        "fields": np.zeros(2, [("a", "<f4"), ("b", "<i4", (2,))]),
    }
    if np.dtype("g").itemsize == 16:
        odd["long"] = np.zeros(2, "g")
    objects = {"object": np.array([{"a": 1}, None], object),
               "object-field": np.zeros(2, [("a", "O"), ("b", "<i4")])}
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(os.path.join(folder, "odd.npz"), plain=plain, **odd, **objects)
    refused = {name: "dtypeUnsupported" for name in odd} | {name: "objectArray" for name in objects}
    return {
        "every.npz": {"tensors": {name: answer(array) for name, array in every.items()}},
        "compressed.npz": {"tensors": {name: answer(array) for name, array in every.items()}},
        "orders.npz": {"tensors": {name: answer(array) for name, array in ordered.items()}},
        "orders-compressed.npz": {
            "tensors": {name: answer(array) for name, array in ordered.items()}},
        "none.npz": {"tensors": {}},
        "odd.npz": {"tensors": {"plain": answer(plain)}, "refused": refused},
    }


def make_npy(folder, generator):
    """Single arrays, in each version of the header."""
    arrays = {"plain": bits(generator, "f4", (5, 2)),
              "fortran": np.asfortranarray(bits(generator, ">i8", (3, 4, 2))),
              "scalar": bits(generator, "f2", ())}
    expected = {}
    for version in [(1, 0), (2, 0), (3, 0)]:
        for name, array in arrays.items():
            stem = f"{name}-{version[0]}"
            with open(os.path.join(folder, f"{stem}.npy"), "wb") as file:
                np.lib.format.write_array(file, array, version=version)
            expected[f"{stem}.npy"] = {"tensors": {stem: answer(array)}}
    return expected


def make_safetensors(folder, generator):
    """What safetensors writes, and shards with an index as Hugging Face's tools lay them out."""
    every = every_dtype(generator)
    metadata = {"format": "np", "größe": "naïve\n"}
    safetensors.numpy.save_file(every, os.path.join(folder, "every.safetensors"), metadata)
    expected = {"every.safetensors": {
        "tensors": {name: answer(array) for name, array in every.items()}, "metadata": metadata}}

    half = bits(generator, "u2", (3, 2))
    small = bits(generator, "u1", (5,))
    specs = {name: safetensors.TensorSpec(dtype=dtype, shape=array.shape,
                                          data_ptr=array.ctypes.data, data_len=array.nbytes)
             for name, dtype, array in [("half", "bfloat16", half),
                                        ("eighth", "float8_e4m3fn", small)]}
    with open(os.path.join(folder, "other.safetensors"), "wb") as file:
        file.write(safetensors.serialize(specs))
    expected["other.safetensors"] = {"tensors": {"half": answer(half, "BF16")},
                                     "refused": {"eighth": "dtypeUnsupported"}}

    shards = {"model-00001-of-00002.safetensors": {"b": bits(generator, "f4", (2, 2))},
              "model-00002-of-00002.safetensors": {"a": bits(generator, "f8", (3,)),
                                                   "c": bits(generator, "i1", (1, 1))}}
    for name, tensors in shards.items():
        safetensors.numpy.save_file(tensors, os.path.join(folder, name), {"format": "np"})
    index = {"metadata": {"total_size": 41},
             "weight_map": {key: name for name, tensors in shards.items() for key in tensors}}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w",
              encoding="utf-8") as file:
        file.write(json.dumps(index, indent=2, sort_keys=True) + "\n")
    expected["model.safetensors.index.json"] = {
        "tensors": {key: answer(array) for tensors in shards.values()
                    for key, array in tensors.items()},
        "metadata": {"format": "np"}}
    return expected


def make(folder):
    """All files; gives the answers."""
    generator = np.random.default_rng(4)
    expected = make_npz(folder, generator)
    expected |= make_npy(folder, generator)
    expected |= make_safetensors(folder, generator)
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.write("\n")


def main():
    """Make or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="make elsewhere and compare")
    arguments = parser.parse_args()
    if not arguments.check:
        shutil.rmtree(FIXTURES, ignore_errors=True)
        os.makedirs(FIXTURES)
        make(FIXTURES)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        make(folder)
        answers = []
        for place in (FIXTURES, folder):
            with open(os.path.join(place, "expected.json"), encoding="utf-8") as file:
                answers.append(json.load(file))
    if answers[0] != answers[1]:
        print("the answers differ from fixtures/containers/expected.json", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
