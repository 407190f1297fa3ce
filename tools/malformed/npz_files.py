"""Malformed npz and npy files. Rows Z1 to Z9, and the archive's own rows again."""

import struct
import zlib

from .cases import FLOATS, Case
from .pytorch_pickles import MARKER
from .zips import Archive, Entry, deflated

GOOD = {"weight": ("F32", (2, 3), FLOATS)}


def cases():
    """All of them."""
    return [*objects(), *headers(), *numbers(), *sizes(), *archives(), *kinds(), *accepted()]


def npy(descr="'<f4'", shape="(2, 3)", data=FLOATS, order="False", version=(1, 0), header=None,
        length=None, magic=b"\x93NUMPY"):
    """A npy file; each part of the header is Python source."""
    if header is None:
        header = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    header = header if isinstance(header, bytes) else header.encode(
        "utf-8" if version >= (3, 0) else "latin-1")
    form = "<H" if version == (1, 0) else "<I"
    start = 8 + struct.calcsize(form)
    header += b" " * (-(start + len(header) + 1) % 64) + b"\n"
    return magic + bytes(version) + struct.pack(
        form, len(header) if length is None else length) + header + data


def npz(*members, **options):
    """An archive of (name, npy) or entries, behind a good `weight`."""
    entries = [Entry("weight.npy", npy())]
    entries += [member if isinstance(member, Entry) else Entry(*member) for member in members]
    return Archive(entries, is_plain=True, **options).bytes()


def both(code, what, row, data, why, **options):
    """A npy file, and a npz that holds it."""
    yield Case(code, f"npy-{what}", row, data, why, extension="npy", **options)
    yield Case(code, what, row, npz(("x.npy", data)), why, extension="npz", **options)


def objects():
    """Z1."""
    pickled = b"\x80\x02cos\nsystem\nX\x20\0\0\0" + b"echo ran > %-20s" % MARKER.encode()[:20] \
        + b"\x85R."
    for what, descr in (("object", "'|O'"), ("object-little-endian", "'<O'"),
                        ("object-field", "[('a', '|O'), ('b', '<f4')]"),
                        ("object-sub-array", "('|O', (2,))")):
        yield Case("objectArray", what, "Z1", npz(("x.npy", npy(descr, "(1,)", pickled))),
                   "Python objects, that is a pickle", "tensor", "npz", "x")
    yield Case("objectArray", "npy-object", "Z1", npy("'|O'", "()", pickled),
               "Python objects, that is a pickle", "tensor", "npy")


def headers():
    """Z2, Z3: the header as text."""
    long = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + " " * 20_000
    yield from both("headerLength", "20000-bytes", "Z2", npy(header=long), "20,000 bytes")
    yield from both("headerLength", "2-gib", "Z2", npy(version=(2, 0), length=2**31),
                    "2 GiB announced")
    yield from both("headerLength", "beyond-the-end", "Z2", npy(data=b"", length=5000),
                    "longer than the file")
    yield from both("headerLength", "all-ones", "Z2", npy(version=(3, 0), length=2**32 - 1),
                    "2^32 - 1 bytes announced")
    for what, header, why in (
        ("call", "__import__('os').system('echo ran > %s')" % MARKER, "a call"),
        ("call-inside", "{'descr': '<f4', 'fortran_order': bool(0), 'shape': (2, 3)}", "a call"),
        ("arithmetic", "{'descr': '<f4', 'fortran_order': False, 'shape': (1+1, 3)}", "a sum"),
        ("power", "{'descr': '<f4', 'fortran_order': False, 'shape': (9**9**9,)}", "a tower"),
        ("comprehension", "{k: 1 for k in 'abc'}", "a comprehension"),
        ("attribute", "{'descr': ().__class__, 'fortran_order': False, 'shape': (2, 3)}",
         "an attribute"),
        ("list", "['<f4', False, (2, 3)]", "a list"),
        ("text", "'<f4'", "a string"),
        ("empty", "", "nothing"),
        ("no-descr", "{'fortran_order': False, 'shape': (2, 3)}", "no descr"),
        ("no-order", "{'descr': '<f4', 'shape': (2, 3)}", "no fortran_order"),
        ("no-shape", "{'descr': '<f4', 'fortran_order': False}", "no shape"),
        ("surplus", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}",
         "a key too many"),
        ("twice", "{'descr': '<f4', 'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)}",
         "two descr"),
        ("not-closed", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", "no brace"),
        ("text-behind", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} + {}",
         "text behind the dict"),
        ("order-is-a-number", "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
         "fortran_order is 0"),
        ("order-is-text", "{'descr': '<f4', 'fortran_order': 'no', 'shape': (2, 3)}",
         "fortran_order is a string"),
        ("descr-is-a-number", "{'descr': 4, 'fortran_order': False, 'shape': (2, 3)}",
         "descr is a number"),
        ("shape-is-a-number", "{'descr': '<f4', 'fortran_order': False, 'shape': 6}",
         "shape is a number"),
        ("shape-in-brackets", "{'descr': '<f4', 'fortran_order': False, 'shape': (6)}",
         "a number in brackets, which is no tuple"),
        ("shape-holds-text", "{'descr': '<f4', 'fortran_order': False, 'shape': ('2', 3)}",
         "a dimension that is a string"),
        ("nul", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}\0", "a NUL"),
        ("json", '{"descr": "<f4", "fortran_order": false, "shape": [2, 3]}', "JSON"),
    ):
        yield from both("headerInvalid", what, "Z3", npy(header=header), why)
    yield from both("nestingLimit", "brackets", "Z3", npy(header="(" * 5000), "5,000 brackets")
    yield Case("badMagic", "npy-member", "Z3", npz(("x.npy", npy(magic=b"\x93NUMPI"))),
               "no npy file", extension="npz")
    for version in ((4, 0), (0, 0), (1, 7), (255, 255)):
        yield from both("unsupportedVersion", "%d-%d" % version, "Z3", npy(version=version),
                        "version %d.%d" % version)


def numbers():
    """Z4."""
    for what, shape, why in (
        ("2-to-64", f"({2**64}, 3)", "2^64"), ("negative", "(-2, -3)", "-2"),
        ("true", "(True, 6)", "True"), ("fraction", "(2.0, 3)", "2.0"),
        ("none", "(None, 3)", "None"), ("exponent", "(2e0, 3)", "2e0"),
        ("google", "(1%s,)" % ("0" * 100), "10^100"),
    ):
        yield from both("badInteger", f"dimension-{what}", "Z4", npy(shape=shape), why)


def sizes():
    """Z5."""
    for code, what, shape, data, why in (
        ("sizeMismatch", "65536-squared", "(65536, 65536)", b"", "16 GiB in a small file"),
        ("sizeMismatch", "short", "(2, 3)", FLOATS[:20], "20 bytes for [2, 3]"),
        ("sizeMismatch", "long", "(2, 3)", FLOATS + b"\0", "25 bytes for [2, 3]"),
        ("sizeMismatch", "scalar", "()", FLOATS, "24 bytes for one number"),
        ("sizeMismatch", "empty", "(0, 3)", FLOATS, "24 bytes for none"),
        ("shapeOverflow", "product", f"({2**40}, {2**40})", FLOATS, "2^80 numbers"),
        ("shapeOverflow", "hidden-by-0", f"({2**40}, {2**40}, 0)", b"", "2^80 times 0"),
        ("rankLimit", "300-dimensions", "(" + "1," * 300 + ")", FLOATS[:4], "rank 300"),
    ):
        yield from both(code, what, "Z5", npy(shape=shape, data=data), why)


def archives():
    """Z6, Z7, and what the archive can do here as in a torch file."""
    whole = npy()
    packed = deflated(whole)

    def deflate(data=whole, stored=packed, **sizes):
        return npz(Entry("x.npy", data, 8, stored=stored, local=sizes, central=sizes))

    for what, data, why in (
        ("less", deflate(size=len(whole) + 8), "8 bytes more are announced"),
        ("more", deflate(size=len(whole) - 8), "8 bytes less are announced"),
        ("cut", deflate(stored=packed[:-6]), "a deflate stream that ends early"),
        ("garbage", deflate(stored=b"\xff" * len(packed)), "no deflate stream"),
        ("behind", deflate(stored=packed + b"\0\0"), "bytes behind the deflate stream"),
        ("empty", deflate(stored=b""), "no byte of a deflate stream"),
        ("block-type", deflate(stored=b"\x07" + packed[1:]), "a block of a type that is none"),
    ):
        # The header is there, and what comes behind it shows only when the array is read.
        late = {"fault": "tensor", "tensor": "x"} if what in ("cut", "behind") else {}
        yield Case("decompressMismatch", what, "Z6", data, why, extension="npz", **late)
    claims = {"size": 10**9}
    yield Case("expansionLimit", "claims-a-gigabyte", "Z6", deflate(**claims),
               "more than deflate can give", extension="npz")
    for what, members, why in (
        ("with-and-without", [("a", whole), ("a.npy", whole)], "a and a.npy"),
        ("twice", [("a.npy", whole), ("a.npy", whole)], "a.npy twice"),
        ("the-first", [("weight.npy", whole)], "weight.npy twice"),
        ("other-case-of-suffix", [("weight", whole)], "weight and weight.npy"),
    ):
        yield Case("duplicateName", what, "Z7", npz(*members), why, extension="npz")
    wrong = {"crc": zlib.crc32(whole) ^ 1}
    for code, what, row, data, why in (
        ("checksumMismatch", "member", "P14", npz(Entry("x.npy", whole, local=wrong,
                                                        central=wrong)), "another CRC-32"),
    ):
        yield Case(code, what, row, data, why, "tensor", "npz", "x")
    good = npz()
    for code, what, row, data, why in (
        ("zipUnsupported", "encrypted", "P16", npz(Entry("x.npy", whole, flags=1)), "encrypted"),
        ("zipUnsupported", "lzma", "P16", npz(Entry("x.npy", whole, 14)), "method 14"),
        ("zipAmbiguous", "local-name", "P12", npz(Entry("x.npy", whole, local={"name": b"y.npy"})),
         "two names"),
        ("zipAmbiguous", "local-size", "P12", npz(Entry("x.npy", whole, local={"size": 5})),
         "two sizes"),
        ("zipAmbiguous", "prefix", "P15", b"\x93NUMPY" + good, "bytes before the archive"),
        ("zipAmbiguous", "suffix", "P15", good + b"\0", "a byte behind the archive"),
        ("zipAmbiguous", "two-ends", "P15", good + good[good.rindex(b"PK\x05\x06"):],
         "two end records"),
        ("unsafePath", "parent", "P17", npz(("../x.npy", whole)), "../x.npy"),
        ("unsafePath", "absolute", "P17", npz(("/etc/x.npy", whole)), "/etc/x.npy"),
        ("badName", "empty", "N16", npz((b"", whole)), "no name"),
        ("badName", "suffix-alone", "N16", npz((".npy", whole)), "a name that is .npy alone"),
        ("badName", "nul", "N16", npz((b"a\0b.npy", whole)), "a name with a NUL"),
        ("badName", "long", "N16", npz((b"a" * 2000 + b".npy", whole)), "2,000 characters"),
        ("truncated", "half", "P15", good[:len(good) // 2], "half a file"),
        ("truncated", "end-record", "P15", good[:-1], "the last byte is missing"),
        ("truncated", "npy-in-a-member", "Z2", npz(("x.npy", whole[:9])), "9 bytes"),
    ):
        yield Case(code, what, row, data, why, extension="npz")
    for length in (6, 7, 9):
        yield Case("truncated", f"npy-{length}-bytes", "Z2", whole[:length], f"{length} bytes",
                   extension="npy")


def kinds():
    """Z9: one odd tensor beside a good one."""
    for what, descr, width in (
        ("fields", "[('a', '<f4'), ('b', '<i4')]", 8), ("sub-array", "('<f4', (2,))", 8),
        ("nested-fields", "[('a', [('b', '<f4')])]", 4),
        ("datetime", "'<M8[ns]'", 8), ("timedelta", "'<m8'", 8), ("text", "'<U2'", 8),
        ("bytes", "'|S3'", 3), ("complex", "'<c8'", 8), ("long-double", "'<f16'", 16),
        ("void-2", "'|V2'", 2), ("void-8", "'|V8'", 8), ("no-type", "'<x4'", 4),
        ("size-0", "'<f0'", 1), ("size-3", "'<i3'", 3), ("huge-size", "'<f99999999999'", 1),
        ("bad-order", "'?f4'", 4), ("empty", "''", 1),
    ):
        yield Case("dtypeUnsupported", what, "Z9", npz(
            ("x.npy", npy(descr, "(6,)", bytes(6 * width)))), f"descr {descr}", "tensor", "npz",
            "x")


def accepted():
    """Z8, and what looks odd and is none the worse for it."""
    values = struct.unpack("<6f", FLOATS)
    swapped = struct.pack("<6f", *(values[i] for i in (0, 3, 1, 4, 2, 5)))
    big = struct.pack(">6f", *values)
    for what, data, answer in (
        ("fortran-order", npy(order="True", data=swapped), GOOD["weight"]),
        ("big-endian", npy("'>f4'", data=big), GOOD["weight"]),
        ("big-endian-fortran-order", npy("'>f4'", order="True", data=b"".join(
            big[4 * i:4 * i + 4] for i in (0, 3, 1, 4, 2, 5))), GOOD["weight"]),
        ("native-order", npy("'=f4'"), GOOD["weight"]),
        ("version-2", npy(version=(2, 0)), GOOD["weight"]),
        ("version-3", npy(version=(3, 0)), GOOD["weight"]),
        ("other-order-of-keys", npy(
            header='{"shape": (2,3), "descr": "<f4", "fortran_order": False}'), GOOD["weight"]),
        ("python-2", npy(shape="(2L, 3L)"), GOOD["weight"]),
        ("scalar", npy("'<f8'", "()", struct.pack("<d", 2.5)),
         ("F64", (), struct.pack("<d", 2.5))),
        ("empty", npy(shape="(0, 3)", data=b""), ("F32", (0, 3), b"")),
        ("big-integers", npy("'>i8'", "(1,)", struct.pack(">q", -2)),
         ("I64", (1,), struct.pack("<q", -2))),
        ("booleans", npy("'|b1'", "(2,)", b"\x01\0"), ("BOOL", (2,), b"\x01\0")),
    ):
        yield Case("accepted", what, "Z8", npz(("x.npy", data)), what, extension="npz",
                   answer={**GOOD, "x": answer})
    yield Case("accepted", "deflated", "Z6", npz(Entry("x.npy", npy(), 8)), "deflated",
               extension="npz", answer={**GOOD, "x": GOOD["weight"]})
    zeros = npy(shape="(65536,)", data=bytes(262144))
    yield Case("accepted", "zeros-1000-to-1", "Z6", npz(Entry("x.npy", zeros, 8)),
               "zeros, deflated as far as it goes", extension="npz",
               answer={**GOOD, "x": ("F32", (65536,), bytes(262144))})
    no_crc = {"crc": 0}
    yield Case("accepted", "crc-0", "P14", npz(Entry("x.npy", npy(), local=no_crc,
                                                     central=no_crc)), "a CRC-32 of 0",
               extension="npz", answer={**GOOD, "x": GOOD["weight"]})
