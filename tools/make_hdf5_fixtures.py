#!/usr/bin/env python3
"""Make fixtures/hdf5: files that try the HDF5 reader, with h5py alone.

`expected.json` holds the answer for each file that is to be read:

    {file: {"tensors": {path: {"dtype", "shape", "hex"}}, "attributes": {path: {name: value}}}}

where `hex` is the data, little-endian and row-major, and the path of the root is "/". The files
under refused/ are named <error code>.<what is in them>.h5.

    python tools/make_hdf5_fixtures.py            make all of them anew
    python tools/make_hdf5_fixtures.py --check    make them elsewhere and compare the answers
"""

import argparse
import json
import os
import shutil
import sys
import tempfile

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                        "fixtures", "hdf5")
OLD = ("earliest", "v110")  # what h5py writes by default with HDF5 1.x
NEW = ("v110", "v110")      # superblock 3, newer object headers, chunk indexes and attributes
DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "I8": "i1", "I16": "i2", "I32": "i4", "I64": "i8",
          "U8": "u1", "U16": "u2", "U32": "u4", "U64": "u8"}


def bfloat16(order="<"):
    """The 16-bit HDF5 float with 8 bits of exponent, as HDF5 2.0 and Keras' readers know it."""
    kind = (h5t.IEEE_F16LE if order == "<" else h5t.IEEE_F16BE).copy()
    kind.set_fields(15, 7, 8, 0, 7)  # sign, exponent and its size, mantissa and its size
    kind.set_ebias(127)
    return kind


def create(path, version=OLD):
    """An empty file; parents are made."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return h5py.File(path, "w", libver=version)


def write(group, name, kind, data, space=None):
    """A dataset that holds the bytes of `data`, unconverted, under the HDF5 type `kind`."""
    if space is None:
        space = h5s.create_simple(data.shape) if data.ndim else h5s.create(h5s.SCALAR)
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    dataset = h5d.create(group.id, name.encode(), kind, space, dcpl=creation)
    if data.size:
        dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(data), mtype=kind)
    return h5py.Dataset(dataset)


def answer(dtype, array):
    """The entry of expected.json for `array`, whose bytes stand for `dtype`."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {"dtype": dtype, "shape": list(array.shape), "hex": little.tobytes().hex()}


# Files that are to be read. Each function writes one and returns its answer.


def nested(path):
    """A state dict whose dots became groups, written out of order, with strata_order."""
    rng, tensors = np.random.default_rng(1), {}
    shapes = {"encoder/lstm/weight_ih_l0": (8, 3), "encoder/lstm/weight_hh_l0": (8, 2),
              "encoder/lstm/bias_ih_l0": (8,), "encoder/lstm/bias_hh_l0": (8,),
              "fc/weight": (4, 2), "fc/bias": (4,)}
    with create(path) as file:
        for order, (name, shape) in reversed(list(enumerate(shapes.items()))):
            array = rng.standard_normal(shape).astype("<f4")
            dataset = file.create_dataset(name, data=array, track_times=False)
            dataset.attrs["strata_order"] = order
            tensors[name] = answer("F32", array)
    return {"tensors": {name: tensors[name] for name in shapes}}


def nested_plain(path):
    """The case of a user's own dump: `lstm/weight_ih_l0`, no attributes, newest file version."""
    rng, tensors = np.random.default_rng(2), {}
    with create(path, NEW) as file:
        for name, shape in (("weight_ih_l0", (8, 3)), ("weight_hh_l0", (8, 2)),
                            ("bias_ih_l0", (8,)), ("bias_hh_l0", (8,))):
            array = rng.standard_normal(shape).astype("<f4")
            file.create_dataset(f"lstm/{name}", data=array, track_times=False)
            tensors[f"lstm/{name}"] = answer("F32", array)
    return {"tensors": tensors}


def float_bits(bits, mantissa):
    """Edge values of an IEEE-like format as unsigned integers: [10]."""
    sign, ones = 1 << (bits - 1), (1 << (bits - 1 - mantissa)) - 1
    infinity = ones << mantissa
    return np.array([
        0, sign,                                # 0.0, -0.0
        infinity, infinity | sign,
        infinity | 1 << (mantissa - 1) | 5,     # quiet NaN with a payload
        infinity | sign | 3,                    # signalling NaN with a payload, negative
        1, sign | ((1 << mantissa) - 1),        # smallest and (negative) largest denormal
        infinity - 1,                           # largest finite
        (ones >> 1) << mantissa,                # 1.0
    ], f"<u{bits // 8}")


def dtypes(path):
    """Every dtype with its edge values, little- and big-endian, scalar and empty."""
    tensors = {}
    with create(path) as file:

        def put(name, dtype, order, kind, array):
            stored = array.astype(array.dtype.newbyteorder(order))
            write(file, name, kind, stored)
            tensors[name] = answer(dtype, array)

        for order, ending in (("<", "le"), (">", "be")):
            for dtype, code in DTYPES.items():
                if code[0] == "f":
                    bits = int(code[1]) * 8
                    edges = float_bits(bits, {64: 52, 32: 23, 16: 10}[bits])
                else:
                    limits = np.iinfo(code)
                    edges = np.array([limits.min, limits.min + 1, 0, 1, 0x5A,
                                      limits.max - 1, limits.max], code)
                # h5py's type for the code; the bits of a float go in as an integer's.
                kind = h5t.py_create(np.dtype(order + code))
                put(f"{dtype}.{ending}", dtype, order, kind, edges)
                if order == "<":
                    put(f"{dtype}.scalar", dtype, order, kind, edges[-1].reshape(()))
                    put(f"{dtype}.empty", dtype, order, kind, edges[:0].reshape(0, 1)
                        .repeat(3, axis=1))
            put(f"BF16.{ending}", "BF16", order, bfloat16(order), float_bits(16, 7))
        put("BF16.scalar", "BF16", "<", bfloat16(), np.array(0x3F80, "<u2"))
        put("BF16.empty", "BF16", "<", bfloat16(), np.empty((0, 3), "<u2"))
        logical = h5t.py_create(np.dtype(bool), logical=True)
        put("BOOL.le", "BOOL", "<", logical, np.array([[1, 0, 0], [0, 1, 1]], "i1"))
        put("BOOL.scalar", "BOOL", "<", logical, np.array(1, "i1"))
        put("BOOL.empty", "BOOL", "<", logical, np.empty((0, 3), "i1"))
        # A null dataspace holds no element; it is told as the shape [0].
        write(file, "null", h5t.IEEE_F32LE, np.empty(0), h5s.create(h5s.NULL))
        tensors["null"] = answer("F32", np.empty(0, "<f4"))
    return {"tensors": tensors}


def storage_of(version):
    """Every storage layout and filter that is read, in the file format `version`."""
    variants = {
        "contiguous": {},
        "chunked": {"chunks": True},
        "gzip": {"chunks": True, "compression": "gzip"},
        "gzip-9": {"chunks": True, "compression": "gzip", "compression_opts": 9},
        "shuffle": {"chunks": True, "shuffle": True},
        "fletcher32": {"chunks": True, "fletcher32": True},
        "shuffle-gzip": {"chunks": True, "shuffle": True, "compression": "gzip"},
        "shuffle-gzip-fletcher32": {"chunks": True, "shuffle": True, "compression": "gzip",
                                    "fletcher32": True},
        "growing": {"chunks": True, "grow": 1, "shuffle": True, "compression": "gzip"},
        "growing-all": {"chunks": True, "grow": 3, "compression": "gzip"},
        "one-chunk": {"chunks": "whole", "compression": "gzip"},
    }
    shapes = {"1d": ((37,), (10,)), "2d": ((13, 17), (5, 8)), "3d": ((5, 7, 6), (2, 3, 4))}

    def build(path):
        rng, tensors = np.random.default_rng(3), {}

        def put(file, name, array, chunks=None, grow=0, **options):
            chunks = array.shape if chunks == "whole" else chunks
            limits = tuple(None if axis < grow else size for axis, size in enumerate(array.shape))
            file.create_dataset(name, data=array, chunks=chunks, track_times=False,
                                maxshape=limits if grow else None, **options)
            tensors[name] = answer("F32" if array.dtype == "<f4" else "I16", array)

        with create(path, version) as file:
            for variant, options in variants.items():
                for rank, (shape, chunks) in shapes.items():
                    array = rng.integers(-50, 50, shape).astype("<f4") / 8
                    own = chunks if options.get("chunks") is True else options.get("chunks")
                    put(file, f"{variant}-{rank}", array, **{**options, "chunks": own})
            # Elements of two bytes for shuffle, big-endian so that it is not undone by chance.
            array = rng.integers(-30000, 30000, (9, 11)).astype(">i2")
            put(file, "shuffle-gzip-i16-be", array, (4, 4), shuffle=True, compression="gzip")
            # A filter mask: the first chunk is stored without its optional filters.
            array = rng.integers(-50, 50, (4, 6)).astype("<f4")
            dataset = file.create_dataset("skipped-filter", array.shape, "<f4", chunks=(2, 6),
                                          compression="gzip", track_times=False)
            dataset[2:] = array[2:]
            dataset.id.write_direct_chunk((0, 0), array[:2].tobytes(), filter_mask=1)
            tensors["skipped-filter"] = answer("F32", array)
            # Compact: the data lies in the object header.
            array = rng.standard_normal((3, 4)).astype("<f4")
            creation = h5p.create(h5p.DATASET_CREATE)
            creation.set_obj_track_times(False)
            creation.set_layout(h5d.COMPACT)
            dataset = h5d.create(file.id, b"compact-2d", h5t.IEEE_F32LE,
                                 h5s.create_simple(array.shape), dcpl=creation)
            dataset.write(h5s.ALL, h5s.ALL, array, mtype=h5t.IEEE_F32LE)
            tensors["compact-2d"] = answer("F32", array)
        return {"tensors": tensors}

    return build


def keras_bf16(path):
    """Keras' bfloat16: uint16 with the attribute dtype="bfloat16", beside an honest uint16."""
    kernel = np.array([[0x3F80, 0xBF00, 0x7FC1], [0x0001, 0x8000, 0xFF80]], "<u2")
    counts = np.array([1, 2, 65535], "<u2")
    with create(path) as file:
        dataset = file.create_dataset("layers/lstm/cell/vars/0", data=kernel, track_times=False)
        dataset.attrs["dtype"] = "bfloat16"
        file.create_dataset("counts", data=counts, track_times=False)
    return {"tensors": {"layers/lstm/cell/vars/0": answer("BF16", kernel),
                        "counts": answer("U16", counts)},
            "attributes": {"layers/lstm/cell/vars/0": {"dtype": "bfloat16"}}}


def attributes(path):
    """Attributes of every kind on the root, on a group and on a dataset."""
    array = np.array([1, 2, 3], "<f4")
    expected = {}
    with create(path) as file:
        group = file.create_group("lstm")
        dataset = group.create_dataset("weight", data=array, track_times=False)
        for where, item in (("/", file), ("lstm", group), ("lstm/weight", dataset)):
            values = expected[where] = {}

            def fixed(name, text, size, padding, where=item, values=values):
                kind = h5t.C_S1.copy()
                kind.set_size(size)
                kind.set_strpad(padding)
                kind.set_cset(h5t.CSET_UTF8)
                attribute = h5a.create(where.id, name.encode(), kind, h5s.create(h5s.SCALAR))
                fill = b" " if padding == h5t.STR_SPACEPAD else b"\0"
                data = text.encode().ljust(size, fill)
                attribute.write(np.frombuffer(data, f"V{size}").reshape(()), mtype=kind)
                values[name] = text

            def plain(name, value, stored=None, item=item, values=values, **options):
                item.attrs.create(name, value if stored is None else stored, **options)
                values[name] = value

            fixed("fixed", "LSTM", 4, h5t.STR_NULLPAD)
            fixed("fixed_null_terminated", "LSTM", 9, h5t.STR_NULLTERM)
            fixed("fixed_space_padded", "LSTM", 9, h5t.STR_SPACEPAD)
            fixed("fixed_utf8", "größe → 大小", 20, h5t.STR_NULLPAD)
            fixed("fixed_empty", "", 1, h5t.STR_NULLPAD)
            plain("variable", f"on {where}")
            plain("variable_ascii", "plain", dtype=h5py.string_dtype("ascii"))
            plain("variable_utf8", "größe → 大小")
            plain("variable_empty", "")
            plain("array", ["one", "", "größe"], np.array(["one", "", "größe"], object),
                  dtype=h5py.string_dtype())
            plain("array_fixed", ["one", "three"], np.array([b"one", b"three"], "S5"))
            plain("int", -7, np.int64(-7))
            plain("uint8", 255, np.uint8(255))
            plain("float", 0.25, np.float64(0.25))
            plain("bool", True, np.bool_(True))
            plain("floats", [0.5, -1.5], np.array([0.5, -1.5], "<f4"))
    return {"tensors": {"lstm/weight": answer("F32", array)}, "attributes": expected}


READ = {"nested.h5": nested, "nested-plain.h5": nested_plain, "dtypes.h5": dtypes,
        "storage.h5": storage_of(OLD), "storage-v110.h5": storage_of(NEW),
        "keras-bf16.h5": keras_bf16, "attributes.h5": attributes}


# Files that are to be refused. Each function gets an open file, which holds one good tensor.


def external_link(file):
    file["weight_hh_l0"] = h5py.ExternalLink("other.h5", "/weight_hh_l0")


def external_link_on_the_way(file):
    file["encoder"] = h5py.ExternalLink("other.h5", "/encoder")
    file.create_group("real")["lstm"] = h5py.ExternalLink("other.h5", "/")


def soft_link(file):
    file["weight_hh_l0"] = h5py.SoftLink("/weight_ih_l0")


def soft_link_dangling(file):
    file["weight_hh_l0"] = h5py.SoftLink("/nowhere")


def soft_link_loop(file):
    file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")


def external_storage(file):
    file.create_dataset("weight_hh_l0", (4,), "<f4", external=[("other.bin", 0, 16)],
                        track_times=False)


def virtual_dataset(file):
    space, creation = h5s.create_simple((4, 3)), h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    creation.set_virtual(space, b".", b"weight_ih_l0", space)
    h5d.create(file.id, b"weight_hh_l0", h5t.IEEE_F32LE, space, dcpl=creation)


def of_type(dtype, value):
    """A dataset of a numpy or h5py type, filled with `value`: only its type is at fault."""

    def build(file):
        file.create_dataset("weight_hh_l0", (2,), dtype, track_times=False)[:] = value

    return build


def of_kind(kind, size):
    """A dataset of an HDF5 type whose elements have `size` bytes."""

    def build(file):
        write(file, "weight_hh_l0", kind(), np.zeros(2, f"V{size}"))

    return build


def variable_length(file):
    dataset = file.create_dataset("weight_hh_l0", (1,), h5py.vlen_dtype(np.dtype("<f4")),
                                  track_times=False)
    dataset[0] = np.ones(3, "<f4")


def reference(file):
    dataset = file.create_dataset("weight_hh_l0", (1,), h5py.ref_dtype, track_times=False)
    dataset[0] = file["weight_ih_l0"].ref


def odd_bias():
    kind = h5t.IEEE_F16LE.copy()
    kind.set_ebias(31)
    return kind


def odd_precision():
    """24 bits of float in 4 bytes."""
    kind = h5t.IEEE_F32LE.copy()
    kind.set_fields(23, 15, 8, 0, 15)
    kind.set_precision(24)
    return kind


def float8():
    """E4M3 in one byte."""
    kind = h5t.IEEE_F16LE.copy()
    kind.set_fields(7, 3, 4, 0, 3)
    kind.set_precision(8)
    kind.set_size(1)
    kind.set_ebias(7)
    return kind


def odd_integer():
    """24 bits of integer in 4 bytes."""
    kind = h5t.STD_I32LE.copy()
    kind.set_precision(24)
    return kind


def filtered(**options):
    """A chunked dataset behind a filter that is not read."""

    def build(file):
        data = np.arange(64, dtype="<i4").reshape(8, 8)
        file.create_dataset("weight_hh_l0", data=data, chunks=(4, 4), track_times=False, **options)

    return build


REFUSED = {
    "externalLink.dataset": external_link,
    "externalLink.on-the-way": external_link_on_the_way,
    "softLink.dataset": soft_link,
    "softLink.dangling": soft_link_dangling,
    "softLink.loop": soft_link_loop,
    "externalStorage.dataset": external_storage,
    "virtualDataset.own-file": virtual_dataset,
    "typeNotAllowed.compound": of_type(np.dtype([("re", "<f4"), ("im", "<f4")]),
                                       np.zeros(2, [("re", "<f4"), ("im", "<f4")])),
    "typeNotAllowed.reference": reference,
    "typeNotAllowed.vlen": variable_length,
    "typeNotAllowed.string-variable": of_type(h5py.string_dtype(), "x"),
    "typeNotAllowed.string-fixed": of_type("S4", b"x"),
    "typeNotAllowed.opaque": of_kind(lambda: h5t.create(h5t.OPAQUE, 4), 4),
    "typeNotAllowed.array": of_kind(lambda: h5t.array_create(h5t.IEEE_F32LE, (3,)), 12),
    "typeNotAllowed.bitfield": of_kind(lambda: h5t.STD_B8LE, 1),
    "typeNotAllowed.enum": of_type(h5py.enum_dtype({"RED": 0, "GREEN": 1}, basetype="i1"), 1),
    "typeNotAllowed.float-bias": of_kind(odd_bias, 2),
    "typeNotAllowed.float-precision": of_kind(odd_precision, 4),
    "typeNotAllowed.float8": of_kind(float8, 1),
    "typeNotAllowed.int-precision": of_kind(odd_integer, 4),
    "filterNotAllowed.lzf": filtered(compression="lzf"),
    "filterNotAllowed.scaleoffset": filtered(scaleoffset=0),
}


def make(folder):
    """Write all files below `folder`."""
    expected = {name: build(os.path.join(folder, name)) for name, build in READ.items()}
    for name, build in REFUSED.items():
        with create(os.path.join(folder, "refused", f"{name}.h5")) as file:
            file.create_dataset("weight_ih_l0", data=np.ones((4, 3), "<f4"), track_times=False)
            build(file)
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.write("\n")


def check():
    """Make them elsewhere and compare; returns the exit status.

    The bytes of the HDF5 files differ between versions of the libraries, the answers do not.
    """
    with tempfile.TemporaryDirectory() as folder:
        make(folder)
        with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
            made = json.load(file)
        with open(os.path.join(FIXTURES, "expected.json"), encoding="utf-8") as file:
            there = json.load(file)
        names = sorted(set(os.listdir(os.path.join(folder, "refused")))
                       ^ set(os.listdir(os.path.join(FIXTURES, "refused"))))
    names += sorted(name for name in {**made, **there} if made.get(name) != there.get(name))
    faults = [f"{name}: answer or presence differs" for name in names]
    faults += [f"{name}: {fault}" for name in READ for fault in unread(name, made[name])]
    print("\n".join(faults) if faults else f"{len(READ) + len(REFUSED)} files agree")
    return 1 if faults else 0


def unread(name, expected):
    """Where the file that is there, read by h5py, is not as expected, one text each."""
    with h5py.File(os.path.join(FIXTURES, name), "r") as file:
        found = []
        file.visititems(lambda path, item: found.append(path)
                        if isinstance(item, h5py.Dataset) else None)
        for path in set(found) ^ set(expected["tensors"]):
            yield f"{path}: in one of the two only"
        for path, tensor in expected["tensors"].items():
            dataset = file[path]
            kind, shape = dataset.id.get_type(), dataset.shape
            if shape is None:
                shape = (0,)
            if list(shape) != tensor["shape"]:
                yield f"{path}: shape"
                continue
            array = np.empty(shape, f"V{kind.get_size()}")
            if array.size:
                dataset.id.read(h5s.ALL, h5s.ALL, array, mtype=kind)
            data = array.tobytes()
            # An enum and a one-byte integer have an order too, which says nothing.
            base = kind.get_super() if isinstance(kind, h5t.TypeEnumID) else kind
            if base.get_order() == h5t.ORDER_BE:
                size = base.get_size()
                data = b"".join(data[i:i + size][::-1] for i in range(0, len(data), size))
            if data.hex() != tensor["hex"]:
                yield f"{path}: data"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true",
                        help="make the files elsewhere, compare, and read those that are there")
    if parser.parse_args().check:
        return check()
    shutil.rmtree(FIXTURES, ignore_errors=True)
    make(FIXTURES)
    size = sum(os.path.getsize(os.path.join(folder, file))
               for folder, _, files in os.walk(FIXTURES) for file in files)
    print(f"{len(READ)} files to be read, {len(REFUSED)} to be refused, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
