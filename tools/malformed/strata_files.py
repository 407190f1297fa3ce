"""Malformed .strata files. Rows N1 to N23; every checksum is right unless it is what is wrong."""

import json
import struct
import zlib

from .cases import FLOATS, Case
from .strata_images import MAGIC, U8, Image, Part, Tensor

GOOD = {"weight": ("F32", (2, 3), FLOATS), "bias": ("U8", (5,), bytes([7, 8, 9, 10, 11]))}


def cases():
    """All of them."""
    for case in [*ends(), *headers(), *counts(), *flips(), *shapes(), *places(), *names(),
                 *deflated(), *texts(), *models(), *nonfinite(), *accepted()]:
        case.extension = "strata"
        yield case


def image(**changed):
    """The good file with `weight` [2, 3] and `bias` [5]; fields of Image as they are given."""
    fields = {"parts": [Part([FLOATS]), Part([GOOD["bias"][2]])],
              "tensors": [Tensor("weight", (2, 3), 0), Tensor("bias", (5,), 1, U8)],
              "metadata": [(b"key", b"value")]}
    return Image(**{**fields, **changed})


def file(**changed):
    """The bytes of such a file."""
    return image(**changed).bytes()


def weight(name="weight", shape=(2, 3), part=None, **changed):
    """A file whose first tensor is as given, `part` in place of its part's fields."""
    good = image()
    good.tensors[0] = Tensor(name, shape, 0, **changed)
    if part is not None:
        good.parts[0] = Part(**{"chunks": [FLOATS], **part})
    return good.bytes()


def ends():
    """N1 and N2."""
    good = file()
    for what, length in (("empty", 0), ("one-byte", 1), ("magic-alone", 12), ("header-cut", 63),
                         ("header-alone", 64), ("directory-cut", 200),
                         ("last-byte-missing", len(good) - 1), ("data-missing", len(good) - 128)):
        yield Case("truncated", what, "N1", good[:length], f"{length} of {len(good)} bytes")
    yield Case("truncated", "longer-announced", "N1", file(file_length=1 << 40),
               "a header that announces 2^40 bytes")
    for what, more, why in (("one-byte", b"\0", "a zero behind the end"),
                            ("64-zeros", b"\0" * 64, "64 zeros behind the end"),
                            ("second-file", good, "the file twice"),
                            ("zip-behind", b"PK\5\6" + b"\0" * 18, "an empty archive behind it"),
                            ("script-behind", b"\n<script>alert(1)</script>", "text behind it")):
        yield Case("trailingData", what, "N2", good + more, why)
    yield Case("trailingData", "shorter-announced", "N2", file(file_length=128),
               "a header that announces 128 bytes")


def headers():
    """N3 to N6: the header."""
    rest = file()[len(MAGIC):]
    for what, magic, why in (
        ("another", b"\x93NUMPX\1\0v\0\0\0", "twelve other bytes"),
        ("line-ends-to-lf", b"\x89STRATA\n\x1a\n\0", "CR LF made LF"),
        ("line-ends-to-crlf", b"\x89STRATA\r\r\n\x1a\r\n\0", "LF made CR LF"),
        ("seven-bits", b"\x09" + MAGIC[1:], "the high bit lost"),
        ("as-utf-8", b"\xc2" + MAGIC, "read as Latin-1, written as UTF-8"),
        ("lower-case", MAGIC.lower(), "lower case"),
        ("no-zero", MAGIC[:11] + b"\1", "another last byte"),
    ):
        yield Case("badMagic", what, "N3", magic + rest, why)
    for what, fields, why in (("major-2", {"major": 2}, "version 2.0"),
                              ("major-0", {"major": 0}, "version 0.0"),
                              ("major-65535", {"major": 65535}, "version 65535.0"),
                              ("required-flag", {"required": 1}, "required flag 0"),
                              ("last-required-flag", {"required": 1 << 31}, "required flag 31"),
                              ("required-section", {"more_sections": [(99, 1, b"abc")]},
                               "a required section of kind 99")):
        yield Case("unsupportedVersion", what, "N4", file(**fields), why)
    yield Case("wrongEndian", "mark", "N5", file(mark=0x3412), "the byte order mark swapped")
    swapped = bytearray(file())
    for begin, size in ((12, 2), (14, 2), (16, 2), (18, 2), (20, 4), (24, 4), (28, 4), (32, 8),
                        (40, 8), (48, 4), (52, 8)):
        swapped[begin:begin + size] = swapped[begin:begin + size][::-1]
    swapped[60:64] = struct.pack(">I", zlib.crc32(swapped[:60]))
    yield Case("wrongEndian", "header", "N5", bytes(swapped), "every field of the header swapped")
    for what, length, why in (("2-to-63", 1 << 63, "2^63 bytes"),
                              ("2-to-64-less-64", 2**64 - 64, "2^64 - 64 bytes"),
                              ("beyond-the-end", 1 << 20, "2^20 bytes"),
                              ("over-the-end", 512, "64 bytes more than the file has"),
                              ("no-multiple", 65, "65 bytes")):
        yield Case("lengthOutOfRange", f"directory-{what}", "N6", file(directory_length=length),
                   f"a directory of {why}")
    yield Case("lengthOutOfRange", "file-2-to-63", "N6", file(file_length=1 << 63),
               "a file of 2^63 bytes")


def counts():
    """N7: counts of things that the file has no room for."""
    most = 2**32 - 1
    few = Image([], [], tensor_count=most)
    for what, data, why in (
        ("sections", file(sections=most), "2^32 - 1 sections"),
        ("parts", file(part_count=most), "2^32 - 1 parts"),
        ("tensors", file(tensor_count=most), "2^32 - 1 tensors"),
        ("tensors-of-none", few.bytes(), "2^32 - 1 tensors in 128 bytes"),
        ("chunks", weight(part={"chunk_count": most}), "2^32 - 1 chunks"),
        ("dimensions", weight(rank=32), "32 dimensions in an entry with 2"),
        ("metadata", file(change_sections=lambda sections: {
            **sections, 6: b"\xff" * 4 + sections[6][4:]}), "2^32 - 1 entries of metadata"),
    ):
        yield Case("countExceedsFile", what, "N7", data, why)


def flips():
    """N8: bytes that are not those that were written."""
    good = file()
    data = len(good) - 128
    for what, at, bit, fault, tensor, why in (
        ("minor-version", 16, 0, "file", None, "the minor version"),
        ("optional-flag", 24, 7, "file", None, "an optional flag"),
        ("header-checksum", 60, 3, "file", None, "the header's checksum"),
        ("directory-checksum", 48, 5, "file", None, "the directory's checksum in the header"),
        ("directory", 64, 0, "file", None, "the first byte of the directory"),
        ("directory-padding", data - 1, 6, "file", None, "the padding of the directory"),
        ("first-value", data, 0, "tensor", "weight", "the lowest bit of the first number"),
        ("sign", data + 3, 7, "tensor", "weight", "a sign"),
        ("data-padding", data + 40, 2, "tensor", "weight", "the padding behind a tensor"),
        ("last-byte", len(good) - 1, 7, "tensor", "bias", "the last byte of the file"),
    ):
        flipped = bytearray(good)
        flipped[at] ^= 1 << bit
        yield Case("checksumMismatch", what, "N8", bytes(flipped), f"one bit of {why}", fault,
                   tensor=tensor)
    zeroed = good[:data] + b"\0" * 64 + good[data + 64:]
    yield Case("checksumMismatch", "lost-block", "N8", zeroed, "64 bytes that were never written",
               "tensor", tensor="weight")


def shapes():
    """N9 to N11."""
    for what, shape, why in (
        ("product", (1 << 32, 1 << 32), "2^64 numbers"),
        ("bytes", (1 << 61,), "2^63 bytes"),
        ("dimension-2-to-63", (1 << 63,), "a dimension of 2^63"),
        ("dimension-2-to-64-less-1", (2**64 - 1,), "a dimension of 2^64 - 1"),
        ("behind-zero", (0, 1 << 62, 1 << 62), "an overflow that a 0 hides"),
        ("wraps-to-6", (1 << 63, 2, 3), "a product that wraps"),
    ):
        yield Case("shapeOverflow", what, "N9", weight(shape=shape), why, tensor="weight")
    for what, rank in (("255", 255), ("33", 33), ("65535", 65535)):
        yield Case("rankLimit", what, "N10", weight(shape=(1,) * 33, rank=rank), f"rank {rank}")
    for what, data, why, tensor in (
        ("shape-too-large", weight(shape=(2, 4)), "8 numbers in 24 bytes", "weight"),
        ("shape-too-small", weight(shape=(5,)), "5 numbers in 24 bytes", "weight"),
        ("empty-shape", weight(shape=(0, 3)), "no number in 24 bytes", "weight"),
        ("scalar", weight(shape=()), "one number in 24 bytes", "weight"),
        ("2-to-59", weight(shape=(1 << 59,)), "2^59 numbers in 24 bytes", "weight"),
        ("dtype", weight(dtype=1), "6 numbers of 8 bytes in 24", "weight"),
        ("part-length", weight(part={"length": 25}), "a part longer than its chunks", None),
        ("part-2-to-63-less-1", weight(part={"length": 2**63 - 1}), "2^63 - 1 bytes", None),
        ("empty-chunk", weight(part={"chunks": [FLOATS, b""]}), "a chunk of no byte", None),
        ("two-chunks", weight(part={"chunks": [FLOATS[:8], FLOATS[8:]]}), "more chunks than needed",
         "weight"),
        ("parameters", weight(parameters=b"\0\0\x10"), "parameters of 3 bytes", "weight"),
    ):
        yield Case("sizeMismatch", what, "N11", data, why, tensor=tensor)


def places():
    """N12 to N14: where parts stand, and bytes that belong to nothing."""
    bias = Part([GOOD["bias"][2]])
    shared = image()
    shared.tensors[1] = Tensor("bias", (5,), 0, U8)

    def second(**changed):
        return file(parts=[Part([FLOATS]), Part(bias.chunks, **changed)])

    for what, data, why, tensor in (
        ("too-early", second(shift=-64), "the second part where the first begins", None),
        ("one-part-two-tensors", shared.bytes(), "two tensors of one part", "bias"),
        ("in-the-directory", weight(part={"shift": -64}), "a part within the directory", None),
    ):
        yield Case("overlap", what, "N12", data, why, tensor=tensor)
    for what, data, why in (
        ("between-parts", second(gap=64), "64 bytes between the parts"),
        ("before-the-parts", weight(part={"gap": 64}), "64 bytes before the parts"),
        ("behind-the-parts", file(data_tail=b"\0" * 64), "64 bytes behind the parts"),
        ("part-of-no-tensor", file(parts=[Part([FLOATS]), bias, Part([b"\1"])]),
         "a part that no tensor names"),
        ("padding-of-a-part", second(padding=b"\1"), "padding that is not zero"),
        ("padding-of-an-entry", weight(name="weights", padding=b"\1"),
         "padding of an entry that is not zero"),
        ("padding-of-a-section", file(metadata=[(b"key", b"value!")], section_padding=b"x"),
         "padding of a section that is not zero"),
        ("padding-of-the-directory", file(directory_tail=b"\0\0\1"),
         "padding of the directory that is not zero"),
        ("64-behind-the-sections", file(directory_tail=b"\0" * 64), "64 zeros behind the sections"),
        ("reserved-in-the-header", file(reserved=1), "a reserved field of the header"),
        ("reserved-in-a-part", second(reserved=1), "a reserved field of a part"),
        ("reserved-in-a-tensor", weight(reserved=1), "a reserved field of a tensor"),
        ("section-flag", file(more_sections=[(99, 2, b"abc")]), "a reserved flag of a section"),
        ("behind-an-entry", weight(further=b"\0" * 8), "8 bytes too many in an entry"),
        ("one-tensor-too-few", file(tensor_count=1), "an entry that is not counted"),
        ("behind-a-payload", file(change_sections=lambda sections: {
            **sections, 6: sections[6] + b"\0"}), "a byte behind the metadata"),
    ):
        fault, tensor = ("tensor", "bias") if what == "padding-of-a-part" else ("file", None)
        yield Case("hole", what, "N13", data, why, fault, tensor=tensor)
    for what, shift in (("by-8", 8), ("by-1", 1), ("by-63", 63)):
        yield Case("misaligned", what, "N14", second(shift=shift), f"a part {shift} bytes too late")
    yield Case("lengthOutOfRange", "part-behind-the-end", "N6", file(missing=64),
               "a part behind the end of the file")
    yield Case("lengthOutOfRange", "part-2-to-63", "N6", weight(part={"length": 1 << 63}),
               "a part of 2^63 bytes")


def names():
    """N15 to N17."""
    def two(first, second):
        good = image()
        good.tensors = [Tensor(first, (2, 3), 0), Tensor(second, (5,), 1, U8)]
        return good.bytes()

    composed, decomposed = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
    for what, data, why in (("same", two("weight", "weight"), "one name twice"),
                            ("canonically-equal", two(composed, decomposed), "two spellings"),
                            ("hangul", two("\uac00", "\u1100\u1161"), "a syllable, its letters")):
        yield Case("duplicateName", what, "N15", data, why)
    for what, name, why in (("empty", b"", "no byte"), ("1025-bytes", b"a" * 1025, "1,025 bytes"),
                            ("invalid-utf-8", b"a\xff", "a byte that UTF-8 has not"),
                            ("surrogate", b"\xed\xa0\x80", "half a surrogate pair"),
                            ("overlong", b"\xc1\xa1", "an overlong letter"),
                            ("cut-utf-8", b"a\xe2\x82", "a character that is cut"),
                            ("nul", b"a\0b", "a NUL"),
                            ("nul-at-the-end", b"weight\0", "a NUL last")):
        yield Case("badName", what, "N16", weight(name=name), why)
    for what, name, why in (
        ("escape", "\x1b[2Jweight\x1b]0;owned\x07", "a terminal's control sequences"),
        ("osc-52", "\x1b]52;c;cm0gLXJmIH4=\x07", "a sequence that writes to the clipboard"),
        ("bidi", "weight_\u202egpj.exe\u2066\u2069\u200f", "characters that turn the direction"),
        ("line-ends", "weight\r\nerror: no\u2028\u2029\x85\n", "line ends"),
        ("invisible", "we\u200bi\ufeffght\U000e0041\x7f", "characters that cannot be seen"),
        ("quotes", "\"'`$(id)<b>\\u{41}|;&%s%n", "what shells, HTML and printf read"),
        ("1024-bytes", "a" * 1024, "1,024 bytes"),
        ("path", "../../etc/passwd", "a name that is a path"),
    ):
        yield Case("accepted", f"name-{what}", "N18" if what == "path" else "N17",
                   weight(name=name), why, answer={name: GOOD["weight"], "bias": GOOD["bias"]})


def deflated():
    """N19 and N20: chunks that are deflated."""
    planes = bytes(FLOATS[i * 4 + j] for j in range(4) for i in range(6))
    stream = zlib.compress(planes, 9)

    def stored(data, shape=(2, 3)):
        return weight(shape=shape, encoding=1, part={"chunks": [data]})

    chunk = struct.pack("<I", 1 << 24)
    for what, data, why in (
        ("2-to-20", stored(b"\0" * 8, (1 << 18,)), "2^20 bytes out of 8"),
        ("one-element-over", stored(b"\0" * 8, ((1032 * 8 + 64) // 4 + 1,)),
         "4 bytes more than 1032 * 8 + 64"),
        ("2-to-24", weight(shape=(1 << 22,), encoding=1, parameters=chunk, part={
            "chunks": [zlib.compress(b"\0" * 64)]}), "2^24 bytes out of few"),
    ):
        yield Case("expansionLimit", what, "N19", data, why, tensor="weight")
    for what, data, why in (
        ("fewer", stored(stream, (7,)), "24 bytes where 28 were announced"),
        ("more", stored(stream, (5,)), "24 bytes where 20 were announced"),
        ("trailing", stored(stream + b"\0"), "a byte behind the stream"),
        ("two-streams", stored(stream + stream), "a second stream"),
        ("bad-adler", stored(stream[:-1] + bytes([stream[-1] ^ 1])), "a wrong Adler-32"),
        ("no-adler", stored(stream[:-4]), "no Adler-32"),
        ("no-stream", stored(b"\1\2\3"), "no stream"),
        ("raw-deflate", stored(stream[2:-4]), "a stream without its frame"),
        ("gzip", stored(zlib.compressobj(9, zlib.DEFLATED, 31).compress(b"") + b"\0" * 24),
         "a gzip frame"),
        ("dictionary", stored(bytes([0x78, 0xBB]) + stream[2:]), "asks for a dictionary"),
        ("at-the-limit", stored(b"\0" * 8, ((1032 * 8 + 64) // 4,)), "just within the limit"),
    ):
        yield Case("decompressMismatch", what, "N20", data, why, "tensor", tensor="weight")
    yield Case("accepted", "deflated", "N20", stored(stream), "a sound deflated chunk", answer=GOOD)
    for what, size in (("0", 0), ("12", 12), ("2-to-24-and-8", (1 << 24) + 8)):
        yield Case("lengthOutOfRange", f"chunk-size-{what}", "N6",
                   weight(parameters=struct.pack("<I", size)), f"chunks of {size} bytes",
                   tensor="weight")


def texts():
    """N21: metadata and JSON."""
    record = b'[{"options":{"a":%s},"path":"","type":""}]'
    for what, fields, why in (
        ("records-100000-deep", {"records": b"[" * 100_000 + b"]" * 100_000}, "100,000 arrays"),
        ("records-never-closed", {"records": b'{"a":' * 20_000}, "20,000 objects"),
        ("records-nan", {"records": record % b"NaN"}, "NaN"),
        ("records-infinity", {"records": record % b"-Infinity"}, "-Infinity"),
        ("records-an-object", {"records": b'{"path":""}'}, "an object"),
        ("records-no-json", {"records": b"path: rnn"}, "YAML"),
        ("records-no-utf-8", {"records": b'["\xff"]'}, "no UTF-8"),
        ("model-no-utf-8", {"model": b'{"version":"\xff"}'}, "no UTF-8"),
        ("keys-descend", {"metadata": [(b"b", b""), (b"a", b"")]}, "keys that descend"),
        ("key-twice", {"metadata": [(b"a", b"1"), (b"a", b"2")]}, "a key twice"),
        ("key-two-spellings", {"metadata": [("o\u0308".encode(), b""), ("\u00f6".encode(), b"")]},
         "one key, two spellings"),
        ("value-no-utf-8", {"metadata": [(b"a", b"\xff")]}, "a value that is no UTF-8"),
        ("no-tensors", {"parts": [], "tensors": [], "change_sections":
                        lambda sections: {1: sections[1]}}, "no table of tensors"),
        ("sections-descend", {"change_sections": lambda sections: {
            2: sections[2], 1: sections[1], 6: sections[6]}}, "sections that descend"),
    ):
        yield Case("metadataInvalid", what, "N21", file(**fields), why)
    deep = json.dumps({"version": 1}).encode()[:-1] + b',"modules":' + b"[" * 100_000
    for what, model, why in (("100000-deep", deep, "100,000 arrays in a model description"),
                             ("nan", b'{"modules":[],"version":NaN}', "NaN in a model description"),
                             ("no-version", b'{"modules":[]}', "a description of no version")):
        yield Case("metadataInvalid", f"model-{what}", "N21", file(model=model), why, "model")


def models():
    """N22: a model description that cannot be, or that the tensors are not of."""
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,),
              "bias_hh_l0": (16,)}
    options = {"batch_first": False, "bias": True, "bidirectional": False, "dropout": 0,
               "hidden_size": 4, "input_size": 3, "num_layers": 1, "proj_size": 0}

    def model(modules, version=1):
        good = Image([], [], model=json.dumps(
            {"modules": modules, "version": version}, sort_keys=True,
            separators=(",", ":")).encode())
        for prefix in ("rnn.", "two."):
            for name, shape in shapes.items():
                good.tensors.append(Tensor(prefix + name, shape, len(good.parts)))
                count = shape[0] * (shape[1] if len(shape) > 1 else 1)
                values = (index / 64 for index in range(count))
                good.parts.append(Part([struct.pack(f"<{count}f", *values)]))
        return good.bytes()

    def lstm(name, source, kind="lstm", **changed):
        return {"inputs": [source], "name": name, "options": {**options, **changed}, "type": kind}

    for what, modules, why in (
        ("cycle", [lstm("rnn", "two"), lstm("two", "rnn")], "two modules that feed each other"),
        ("feeds-itself", [lstm("rnn", "rnn")], "a module that feeds itself"),
        ("unknown-input", [lstm("rnn", "nobody")], "an input that is no module"),
        ("twice", [lstm("rnn", "@input"), lstm("rnn", "@input")], "a module twice"),
        ("gate-count", [lstm("rnn", "@input", "gru"), lstm("two", "rnn")],
         "a GRU, whose weights have an LSTM's four gates"),
        ("hidden-size", [lstm("rnn", "@input", hidden_size=5)], "another hidden size"),
        ("hidden-size-0", [lstm("rnn", "@input", hidden_size=0)], "a hidden size of 0"),
        ("hidden-size-2-to-62", [lstm("rnn", "@input", hidden_size=2**62)], "2^62 hidden units"),
        ("negative-layers", [lstm("rnn", "@input", num_layers=-1)], "-1 layers"),
        ("2-to-62-layers", [lstm("rnn", "@input", num_layers=2**62)], "2^62 layers"),
        ("projection", [lstm("rnn", "@input", proj_size=4)], "a projection as large as the state"),
    ):
        yield Case("modelInvalid", what, "N22", model(modules), why, "model")


def nonfinite():
    """N23: what is no number keeps its bits, and is refused when that is asked for."""
    patterns = {"nan": 0x7FC00000, "signalling-nan": 0x7F800001, "nan-payload": 0xFFABCDEF,
                "infinity": 0x7F800000, "minus-infinity": 0xFF800000}
    for what, bits in patterns.items():
        data = FLOATS[:20] + struct.pack("<I", bits)
        contents = weight(part={"chunks": [data]})
        yield Case("nonFinite", what, "N23", contents, f"a number with the bits {bits:#x}",
                   "nonfinite", tensor="weight")
        yield Case("accepted", what, "N23", contents, f"a number with the bits {bits:#x}",
                   answer={**GOOD, "weight": ("F32", (2, 3), data)})


def accepted():
    """What looks odd and is none the worse for it."""
    yield Case("accepted", "plain", "N1", file(), "the file that the others are made from",
               answer=GOOD)
    yield Case("accepted", "optional-section", "N4", file(more_sections=[(99, 0, b"abc")]),
               "an optional section of an unknown kind", answer=GOOD)
    yield Case("accepted", "no-tensor", "N7", Image([], []).bytes(), "no tensor", answer={})
