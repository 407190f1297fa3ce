"""Malformed safetensors files, and sharded checkpoints. Rows S1 to S11."""

import json
import struct

from .cases import FLOATS, Case

GOOD = {"weight": ("F32", (2, 3), FLOATS)}
TENSOR = '{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}'


def cases():
    """All of them."""
    for case in [*headers(), *numbers(), *places(), *kinds(), *metadata(), *accepted()]:
        case.extension = "safetensors"
        yield case
    for case in shards():
        case.extension = "sharded"
        yield case


def file(header, data=FLOATS, length=None):
    """A file with this header, text or bytes, unpadded."""
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def one(dtype='"F32"', shape="[2,3]", offsets="[0,24]", data=FLOATS, more=""):
    """A file with the tensor `weight`, each part of it JSON."""
    return file('{"weight":{"dtype":%s,"shape":%s,"data_offsets":%s%s}}'
                % (dtype, shape, offsets, more), data)


def headers():
    """S1 to S4: the header as text."""
    good = file('{"weight":%s}' % TENSOR)
    for what, data, why in (
        ("seven-bytes", b"\x10\0\0\0\0\0\0", "7 bytes"),
        ("one-byte", b"\x10", "1 byte"),
        ("beyond-the-end", file('{"weight":%s}' % TENSOR, length=100_000), "longer than the file"),
        ("all-ones", file("{}", length=2**64 - 1), "2^64 - 1 bytes"),
        ("2-to-63", file("{}", length=2**63), "2^63 bytes"),
        ("over-100-mb", file("{}", length=100_000_001), "more than 100,000,000 bytes"),
        ("cut", good[:40], "a file that ends in its header"),
    ):
        yield Case("headerLength", what, "S1", data, why)
    for what, header, why in (
        ("empty", "", "no byte"),
        ("space-first", ' {"weight":%s}' % TENSOR, "a space first"),
        ("byte-order-mark", '\ufeff{"weight":%s}' % TENSOR, "a byte order mark first"),
        ("no-utf-8", b'{"w\xff":' + TENSOR.encode() + b"}", "a name that is no UTF-8"),
        ("overlong-utf-8", b'{"w\xc0\xaf":' + TENSOR.encode() + b"}", "an overlong character"),
        ("surrogate", '{"w\\ud800":%s}' % TENSOR, "half a surrogate pair"),
        ("array", "[%s]" % TENSOR, "an array"),
        ("string", '"weight"', "a string"),
        ("number", "123", "a number"),
        ("null", "null", "null"),
        ("not-closed", '{"weight":%s' % TENSOR, "no closing brace"),
        ("text-behind", '{"weight":%s}x' % TENSOR, "text behind the object"),
        ("second-object", '{"weight":%s}{}' % TENSOR, "a second object"),
        ("trailing-comma", '{"weight":%s,}' % TENSOR, "a comma too many"),
        ("no-colon", '{"weight"%s}' % TENSOR, "no colon"),
        ("single-quotes", "{'weight':%s}" % TENSOR, "single quotes"),
        ("comment", '{/**/"weight":%s}' % TENSOR, "a comment"),
        ("nul-behind", '{"weight":%s}\0\0' % TENSOR, "padded with NUL, not with spaces"),
        ("control-character", '{"we\night":%s}' % TENSOR, "a line end inside a string"),
        ("bad-escape", '{"we\\xight":%s}' % TENSOR, "an escape that JSON has not"),
        ("entry-is-a-number", '{"weight":5}', "a tensor that is a number"),
        ("entry-is-a-list", '{"weight":[]}', "a tensor that is a list"),
        ("no-dtype", '{"weight":{"shape":[2,3],"data_offsets":[0,24]}}', "no dtype"),
        ("no-shape", '{"weight":{"dtype":"F32","data_offsets":[0,24]}}', "no shape"),
        ("no-offsets", '{"weight":{"dtype":"F32","shape":[2,3]}}', "no data_offsets"),
    ):
        yield Case("headerInvalid", what, "S2", file(header), why)
    for what, data, why in (
        ("dtype-is-a-number", one(dtype="32"), "a dtype that is a number"),
        ("shape-is-a-number", one(shape="6"), "a shape that is a number"),
        ("shape-holds-text", one(shape='["2",3]'), "a dimension that is a string"),
        ("offsets-one", one(offsets="[24]"), "one offset"),
        ("offsets-three", one(offsets="[0,24,24]"), "three offsets"),
        ("offsets-object", one(offsets='{"begin":0,"end":24}'), "offsets that are an object"),
    ):
        yield Case("headerInvalid", what, "S2", data, why)
    for what, header, why in (
        ("raw", '{"weight":%s,"weight":%s}' % (TENSOR, TENSOR), "one name twice"),
        ("escaped", '{"a":%s,"\\u0061":%s}' % (TENSOR, TENSOR), "the same name, escaped"),
        ("metadata", '{"__metadata__":{},"weight":%s,"__metadata__":{}}' % TENSOR,
         "two __metadata__"),
        ("metadata-key", '{"__metadata__":{"a":"1","a":"2"},"weight":%s}' % TENSOR,
         "one key of __metadata__ twice"),
        ("field", '{"weight":{"dtype":"F32","dtype":"I32","shape":[2,3],"data_offsets":[0,24]}}',
         "two dtypes"),
    ):
        yield Case("duplicateName", what, "S3", file(header), why)
    for what, header, why in (
        ("arrays", '{"weight":' + "[" * 100_000, "100,000 arrays in each other"),
        ("objects", '{"a":' * 20_000, "20,000 objects in each other"),
        ("in-metadata", '{"__metadata__":{"a":' + "[" * 5_000 + "]" * 5_000 + '},"weight":%s}'
         % TENSOR, "5,000 arrays in __metadata__"),
    ):
        yield Case("nestingLimit", what, "S4", file(header), why)


def numbers():
    """S5."""
    for what, begin, end, why in (
        ("negative", "-1", "24", "-1"), ("negative-zero", "-0", "24", "-0"),
        ("exponent", "0", "24e0", "24e0"), ("fraction", "0", "24.0", "24.0"),
        ("leading-zero", "0", "024", "024"), ("plus", "0", "+24", "+24"),
        ("hexadecimal", "0", "0x18", "0x18"), ("true", "0", "true", "true"),
        ("null", "0", "null", "null"), ("nan", "0", "NaN", "NaN"),
        ("2-to-64", "0", str(2**64), "2^64"), ("2-to-64-and-24", "0", str(2**64 + 24), "2^64 + 24"),
        ("2-to-53-and-1", "0", str(2**53 + 1), "2^53 + 1"),
        ("1e400", "0", "1e400", "1e400"),
    ):
        code = "headerInvalid" if what in (
            "leading-zero", "plus", "hexadecimal", "nan", "true", "null") else "badInteger"
        yield Case(code, f"offset-{what}", "S5", one(offsets=f"[{begin},{end}]"), why)
    for what, dimension, why in (("negative", "-2", "-2"), ("fraction", "2.0", "2.0"),
                                 ("exponent", "2e0", "2e0"), ("2-to-64", str(2**64), "2^64"),
                                 ("2-to-53-and-1", str(2**53 + 1), "2^53 + 1")):
        yield Case("badInteger", f"dimension-{what}", "S5", one(shape=f"[{dimension},3]"), why)


def places():
    """S6 to S8: where tensors stand."""
    def two(first, second, data):
        return file('{"a":{"dtype":"F32","shape":[3],"data_offsets":[%d,%d]},'
                    '"b":{"dtype":"F32","shape":[3],"data_offsets":[%d,%d]}}' % (*first, *second),
                    data)

    for code, what, row, data, why in (
        ("offsetInvalid", "reversed", "S6", one(offsets="[24,0]"), "begins behind its end"),
        ("offsetInvalid", "beyond-the-end", "S6", one(offsets="[0,24]", data=FLOATS[:20]),
         "ends behind the file"),
        ("offsetInvalid", "begin-beyond-the-end", "S6", one(offsets="[4096,4120]"),
         "begins behind the file"),
        ("coverage", "overlap", "S7", two((0, 12), (8, 20), FLOATS[:20]), "tensors that overlap"),
        ("coverage", "same-place", "S7", two((0, 12), (0, 12), FLOATS[:12]),
         "two tensors on the same bytes"),
        ("coverage", "hole", "S7", two((0, 12), (16, 28), FLOATS + b"\0" * 4), "4 bytes between"),
        ("coverage", "hole-first", "S7", one(offsets="[4,28]", data=b"\0" * 4 + FLOATS),
         "4 bytes before the first tensor"),
        ("coverage", "tail", "S7", one(data=FLOATS + b"\0"), "a byte behind the last tensor"),
        ("coverage", "no-tensor", "S7", file("{}"), "24 bytes and no tensor"),
        ("sizeMismatch", "too-few", "S8", one(offsets="[0,20]", data=FLOATS[:20]),
         "20 bytes for [2, 3]"),
        ("sizeMismatch", "too-many", "S8", one(shape="[2,2]"), "24 bytes for [2, 2]"),
        ("sizeMismatch", "scalar", "S8", one(shape="[]"), "24 bytes for one number"),
        ("sizeMismatch", "empty", "S8", one(shape="[0,3]"), "24 bytes for none"),
        ("sizeMismatch", "dtype", "S8", one(dtype='"F64"'), "24 bytes for 6 of 8"),
        ("shapeOverflow", "product", "S8", one(shape=f"[{2**40},{2**40}]"), "2^80 numbers"),
        ("shapeOverflow", "bytes", "S8", one(dtype='"F64"', shape=f"[{2**31},{2**31}]"),
         "2^62 numbers of 8 bytes"),
        ("shapeOverflow", "wraps", "S8", one(shape=f"[{2**32},{2**32},6]"),
         "a product that wraps to 0"),
        ("shapeOverflow", "hidden-by-0", "S8", one(
            shape=f"[{2**40},{2**40},0]", offsets="[0,0]", data=b""), "2^80 times 0"),
        ("rankLimit", "300-dimensions", "S8", one(
            shape="[" + ",".join(["1"] * 299) + ",6]"), "rank 300"),
    ):
        yield Case(code, what, row, data, why)


def kinds():
    """S9: one odd tensor beside a good one."""
    def beside(dtype, count, size):
        return file('{"weight":%s,"x":{"dtype":"%s","shape":[%d],"data_offsets":[24,%d]}}'
                    % (TENSOR, dtype, count, 24 + size), FLOATS + bytes(size))

    # A type that safetensors itself does not know leaves the size of the tensor in the dark.
    for what, dtype in (
        ("unknown", "F33"), ("lower-case", "f32"), ("numpy", "float32"), ("empty", ""),
    ):
        yield Case("dtypeUnsupported", what, "S9", beside(dtype, 2, 8), f"dtype {dtype!r}",
                   tensor="x")
    for what, dtype, count, size in (
        ("complex", "C64", 2, 16), ("f8-e4m3", "F8_E4M3", 8, 8),
        ("f8-e5m2", "F8_E5M2", 8, 8), ("f8-e8m0", "F8_E8M0", 8, 8), ("f4", "F4", 16, 8),
    ):
        yield Case("dtypeUnsupported", what, "S9", beside(dtype, count, size), f"dtype {dtype!r}",
                   "tensor", tensor="x")
    yield Case("dtypeUnsupported", "f4-odd", "S9", beside("F4", 3, 2), "three half bytes",
               tensor="x")


def metadata():
    """S10."""
    for what, value, why in (
        ("number", '{"epoch":3}', "a number"), ("null", '{"epoch":null}', "null"),
        ("true", '{"best":true}', "true"), ("object", '{"config":{"a":"b"}}', "an object"),
        ("list", '{"layers":["a"]}', "a list"), ("is-a-list", '["a"]', "no object, a list"),
        ("is-a-string", '"a"', "no object, a string"), ("is-null", "null", "no object, null"),
        ("is-a-tensor", TENSOR, "a tensor called __metadata__"),
    ):
        yield Case("metadataInvalid", what, "S10", file(
            '{"__metadata__":%s,"weight":%s}' % (value, TENSOR)), why)


def shards():
    """Checkpoints in several files, of which the index says what is where."""
    index = "model.safetensors.index.json"
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    files = {names[0]: file('{"a":%s}' % TENSOR), names[1]: file('{"b":%s}' % TENSOR)}

    def checkpoint(shard_map=None, text=None, parts=None):
        shard_map = shard_map if shard_map is not None else {"a": names[0], "b": names[1]}
        text = text if text is not None else json.dumps(
            {"metadata": {"total_size": 48}, "weight_map": shard_map}, indent=2)
        return {index: text.encode(), **(files if parts is None else parts)}

    yield Case("accepted", "shards", "S7", checkpoint(), "two shards", answer={
        name: GOOD["weight"] for name in "ab"})
    stray = {**files, "model-00009-of-00009.safetensors": b"no part of this checkpoint"}
    yield Case("accepted", "stray-shard", "S7", checkpoint(parts=stray),
               "a file that the index does not name", answer={
                   name: GOOD["weight"] for name in "ab"})
    for code, what, row, data, why in (
        ("fileNotFound", "missing-shard", "S7", checkpoint(parts={names[0]: files[names[0]]}),
         "a shard that is not there"),
        ("parameterMissing", "missing-tensor", "S7", checkpoint(
            {"a": names[0], "b": names[1], "c": names[1]}), "a tensor that its shard has not"),
        ("parameterUnexpected", "surplus-tensor", "S7", checkpoint(parts={
            **files, names[1]: file('{"b":%s,"c":{"dtype":"F32","shape":[0],'
                                    '"data_offsets":[24,24]}}' % TENSOR)}),
         "a tensor that the index does not name"),
        ("parameterMissing", "wrong-shard", "S7", checkpoint({"a": names[1], "b": names[0]}),
         "each tensor in the other's shard"),
        ("unsafePath", "parent", "N18", checkpoint({"a": names[0], "b": "../" + names[1]}),
         "a shard outside of the directory"),
        ("unsafePath", "absolute", "N18", checkpoint({"a": names[0], "b": "/etc/hostname"}),
         "an absolute path"),
        ("unsafePath", "below", "N18", checkpoint({"a": names[0], "b": "more/" + names[1]}),
         "a shard in another directory"),
        ("unsafePath", "backslash", "N18", checkpoint({"a": names[0], "b": "..\\" + names[1]}),
         "the same with a backslash"),
        ("headerInvalid", "index-not-closed", "S2", checkpoint(text='{"weight_map":{'),
         "JSON that ends early"),
        ("headerInvalid", "index-a-list", "S2", checkpoint(text="[]"), "a list"),
        ("headerInvalid", "no-weight-map", "S2", checkpoint(text="{}"), "no weight_map"),
        ("headerInvalid", "weight-map-a-list", "S2", checkpoint(text='{"weight_map":[]}'),
         "a weight_map that is a list"),
        ("headerInvalid", "shard-a-number", "S2", checkpoint(text='{"weight_map":{"a":1}}'),
         "a shard that is a number"),
        ("duplicateName", "index", "S3", checkpoint(
            text='{"weight_map":{"a":"%s","b":"%s","a":"%s"}}' % (*names, names[1])),
         "one name twice"),
        ("nestingLimit", "index", "S4", checkpoint(text='{"weight_map":' + "[" * 20_000),
         "20,000 lists"),
        ("offsetInvalid", "shard", "S6", checkpoint(parts={
            **files, names[1]: file('{"b":%s}' % TENSOR, FLOATS[:20])}), "a malformed shard"),
    ):
        yield Case(code, what, row, data, why)


def accepted():
    """What looks odd and is none the worse for it."""
    yield Case("accepted", "padded", "S2", file('{"weight":%s}     ' % TENSOR),
               "padded with spaces", answer=GOOD)
    yield Case("accepted", "metadata-only", "S10", file(
        '{"__metadata__":{"a":"b"},"weight":%s}' % TENSOR), "metadata", answer=GOOD)
    yield Case("accepted", "escapes", "N17", file(
        '{"\\u0077\\ud83d\\ude00\\/\\n\\u202e":%s}' % TENSOR), "a name with escapes",
        answer={"w\U0001F600/\n\u202e": GOOD["weight"]})
    yield Case("accepted", "order-by-place", "S7", file(
        '{"z":{"dtype":"U8","shape":[4],"data_offsets":[20,24]},'
        '"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}'), "names in another order",
        answer={"z": ("U8", (4,), FLOATS[20:]), "a": ("F32", (5,), FLOATS[:20])})
    yield Case("accepted", "scalar-and-empty", "S8", file(
        '{"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},'
        '"e":{"dtype":"F64","shape":[3,0],"data_offsets":[4,4]},'
        '"r":{"dtype":"F32","shape":[5],"data_offsets":[4,24]}}'), "a scalar and an empty tensor",
        answer={"s": ("F32", (), FLOATS[:4]), "e": ("F64", (3, 0), b""),
                "r": ("F32", (5,), FLOATS[4:])})
    many = {f"t{n}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for n in range(3000)}
    yield Case("accepted", "3000-empty-tensors", "S11", file(json.dumps(
        many, separators=(",", ":")), b""), "3,000 tensors without a byte",
        answer={name: ("U8", (0,), b"") for name in many})
