"""HDF5 files that lead elsewhere, lie about their sizes, hold code, or are simply broken."""

import json
import struct

from .cases import FLOATS, Case
from .hdf5_image import (DATATYPE, DEFLATE, EXTERNAL, FLETCHER32, NBIT, SCALEOFFSET, SHUFFLE,
                         SIGNATURE, SZIP, UNDEFINED, VARIABLE_STRING, Image, attribute, checksum,
                         chunked, committed, compact, contiguous, deflated, external, filters,
                         floating, hard, implicit_chunks, integer, plain, single_chunk, soft,
                         string, user_defined, virtual)

PIB = 1 << 50


def case(code, what, row, data, why, **options):
    return Case(code, what, row, data, why, extension="h5", **options)


def beside(build):
    """A file with the good tensor `weight` and what `build` makes of the image: messages."""
    image = Image()
    good = image.good()
    return image.finish(image.group(hard("weight", good), *build(image, good)))


def one(*messages, **options):
    """A file with the tensor `x` of these messages, beside the good one."""
    return beside(lambda image, good: [hard("x", image.dataset(*messages, **options))])


def cases():
    yield from links()
    yield from storage()
    yield from types()
    yield from sizes()
    yield from chunks()
    yield from extents()
    yield from checksums()
    yield from texts()
    yield from keras()
    yield from structure()
    yield from accepted()


# H1 to H4, H8, H9.


def links():
    for what, row, make in (
            ("dataset", "H1", lambda i, g: [external("x", b"other.h5", b"/x")]),
            ("hostname", "H1", lambda i, g: [external("x", b"/etc/hostname", b"/")]),
            ("itself", "H1", lambda i, g: [external("x", b".", b"/weight")]),
            ("on-the-way", "H3", lambda i, g: [hard("rnn", i.group(
                external("inner", b"other.h5", b"/rnn")))])):
        yield case("externalLink", what, row, beside(make), "a link to another file",
                   tensor="rnn.inner" if row == "H3" else "x")
    for what, target in (("dataset", b"/weight"), ("dangling", b"/nowhere"), ("loop", b"x"),
                         ("parent", b"/"), ("long", b"/a" * 30000)):
        yield case("softLink", what, "H2", beside(lambda i, g: [soft("x", target)]),
                   "a link to a path", tensor="x")
    for kind in (65, 255):
        yield case("linkClass", f"user-defined-{kind}", "H4",
                   beside(lambda i, g: [user_defined("x", kind, b"whatever")]),
                   "a link that a program would have to understand", tensor="x")

    def cycle(image):
        # The group that comes next is the one that the link leads to.
        address = len(image.bytes) + -len(image.bytes) % 8
        return image.group(hard("again", address))

    yield case("groupCycle", "itself", "H8", beside(lambda i, g: [hard("x", cycle(i))]),
               "a group in itself", tensor="x.again")
    yield case("groupCycle", "two-names", "H8", beside(
        lambda i, g: (lambda group: [hard("x", group), hard("y", group)])(i.group(hard("w", g)))),
        "one group under two names", tensor="y")

    def nested(image, depth):
        group = image.group(hard("w", image.good()))
        for _ in range(depth - 1):
            group = image.group(hard("g", group))
        return group

    yield case("nestingLimit", "33-groups", "H9",
               beside(lambda i, g: [hard("g", nested(i, 33))]), "33 groups, one in the other",
               tensor=".".join("g" * 33))


# H5 to H7.


def storage():
    def elsewhere(name):
        def build(image, good):
            heap = image.names(name)
            files = struct.pack("<BxxxHHQQQQ", 1, 1, 1, heap, 8, 0, 24)
            return [hard("x", image.dataset(contiguous(UNDEFINED, 24), (EXTERNAL, 0, files)))]
        return beside(build)

    for what, name in (("hostname", b"/etc/hostname"), ("beside", b"weights.bin"),
                       ("above", b"../../x"), ("itself", b"externalStorage.itself.h5")):
        yield case("externalStorage", what, "H5", elsewhere(name), "data in another file",
                   tensor="x")

    def mapping(name):
        def build(image, good):
            # One mapping, all of the source to all of the dataset.
            block = struct.pack("<BQ", 0, 1) + name + b"\0weight\0"
            block += struct.pack("<IIII", 3, 1, 0, 0) * 2
            block += struct.pack("<I", checksum(block))
            return [hard("x", image.dataset(virtual(image.heap(block))))]
        return beside(build)

    yield case("virtualDataset", "own-file", "H6", mapping(b"."),
               "a dataset put together from another", tensor="x")
    yield case("virtualDataset", "hostname", "H6", mapping(b"/etc/hostname"),
               "a dataset put together from another file", tensor="x")
    for what, number in (("szip", SZIP), ("nbit", NBIT), ("scaleoffset", SCALEOFFSET),
                         ("lzf", 32000), ("blosc", 32001), ("zstd", 32015), ("unknown", 60000)):
        values = (1,) * 20 if number in (NBIT, SCALEOFFSET) else (4, 32)
        yield case("filterNotAllowed", what, "H7", beside(lambda i, g: [hard("x", i.dataset(
            filters((number, values)), single_chunk(i.put(FLOATS), 2, 3, 4, stored=24)))]),
            "a filter that is not read", tensor="x")
    yield case("filterNotAllowed", "behind-deflate", "H7", beside(lambda i, g: [hard("x", i.dataset(
        filters((SHUFFLE, (4,)), (DEFLATE, (6,)), 32001),
        single_chunk(i.put(FLOATS), 2, 3, 4, stored=24)))]),
        "a filter that is not read, behind two that are", tensor="x")


# H10 to H12.


def types():
    kinds = {
        "compound": ("H10", plain(6, 4, 1, b"a\0" + struct.pack("<B", 0) + floating(),
                                  version=3)),
        "reference": ("H10", plain(7, 8)), "opaque": ("H10", plain(5, 4)),
        "bitfield": ("H10", plain(4, 4, 0, struct.pack("<HH", 0, 32))),
        "text": ("H10", string(4)), "variable-text": ("H10", VARIABLE_STRING),
        "variable-length": ("H10", plain(9, 16, 0, floating())),
        "array": ("H10", plain(10, 8, 0, struct.pack("<BI", 1, 2) + floating(), version=3)),
        "time": ("H10", plain(2, 4, 0, struct.pack("<H", 32))),
        "float-precision": ("H11", floating(precision=31)),
        "float-bias": ("H11", floating(bias=126)),
        "float-exponent": ("H11", floating(exponent=(22, 9), mantissa=(0, 22))),
        "float-sign": ("H11", floating(sign=0, exponent=(24, 8), mantissa=(1, 23))),
        "float-normalised": ("H11", floating(norm=1)),
        "float-offset": ("H11", floating(size=8, offset=32, sign=63, exponent=(55, 8),
                                         mantissa=(32, 23))),
        "float-8": ("H11", floating(size=1, precision=8, sign=7, exponent=(3, 4), mantissa=(0, 3),
                                    bias=7)),
        "float-vax": ("H11", bytes([0x31]) + floating(order=3)[1:]),
        "integer-precision": ("H11", integer(precision=24)),
        "integer-offset": ("H11", integer(precision=16, offset=8)),
        "integer-3": ("H11", integer(size=3)), "integer-16": ("H11", integer(size=16)),
    }
    for what, (row, kind) in kinds.items():
        size = 6 * struct.unpack_from("<I", kind, 4)[0]
        yield case("typeNotAllowed", what, row, beside(lambda i, g: [hard("x", i.dataset(
            contiguous(i.put(bytes(size)), size), kind=kind))]), "elements that no tensor has",
            tensor="x")

    def shared(image, good):
        named = image.header((DATATYPE, 0, floating()))
        data = image.put(FLOATS)
        return [hard("x", image.header((1, 0, struct.pack("<BBBBQQ", 2, 2, 0, 1, 2, 3)),
                                       committed(named), contiguous(data, 24)))]

    yield case("typeNotAllowed", "committed", "H12", beside(shared),
               "a type that other objects share", tensor="x")
    yield case("typeNotAllowed", "named-type", "H12", beside(
        lambda i, g: [hard("x", i.header((DATATYPE, 0, floating())))]),
        "a type in place of a dataset", tensor="x")


# H9, H13, H15.


def sizes():
    huge = PIB * 8 // 4
    yield case("dataMissing", "8-pebibytes", "H13",
               one(chunked(UNDEFINED, 1024, 4), shape=(huge,)),
               "8 PiB, no chunk of it written", tensor="x")
    yield case("dataMissing", "8-pebibytes-contiguous", "H13",
               one(contiguous(UNDEFINED, huge * 4), shape=(huge,)), "8 PiB, none of it written",
               tensor="x")
    yield case("dataMissing", "one-chunk", "H13", one(single_chunk(UNDEFINED, 6, 4), shape=(6,)),
               "the only chunk was not written", tensor="x")
    yield case("dataMissing", "implicit-chunks", "H13",
               one(implicit_chunks(UNDEFINED, 2, 4), shape=(6,), allocation=1),
               "chunks one behind the other, nowhere", tensor="x")
    yield case("shapeOverflow", "product", "H13",
               one(contiguous(UNDEFINED, 24), shape=(1 << 40, 1 << 40)),
               "a shape of 2^80 elements", tensor="x")
    yield case("shapeOverflow", "dimension", "H13",
               one(contiguous(UNDEFINED, 24), shape=(1 << 61,)), "a dimension of 2^61", tensor="x")
    yield case("hdf5Invalid", "dimension-2-to-63", "H13",
               one(contiguous(UNDEFINED, 24), shape=(1 << 63,)), "a dimension of 2^63", tensor="x")
    yield case("shapeOverflow", "behind-zero", "H13",
               one(contiguous(UNDEFINED, 0), shape=(0, 1 << 40, 1 << 40)),
               "an empty tensor whose other dimensions overflow", tensor="x")
    zeros = deflated(bytes(32 << 20))

    def many(image, good):
        bomb = image.dataset(filters((DEFLATE, (9,))), single_chunk(
            image.put(zeros), 8 << 20, 4, stored=len(zeros)), shape=(8 << 20,))
        return [hard(f"x{index}", bomb) for index in range(10, 40)]

    yield case("totalExpansion", "one-bomb-many-names", "H15", beside(many),
               "32 MiB of zeros under 30 names", tensor="x11")


# H14 to H16.


def chunks():
    def missing(*places):
        def build(image, good):
            tree = image.tree([(8, (place,), image.put(FLOATS[:8])) for place in places])
            return [hard("x", image.dataset(chunked(tree, 2, 4), shape=(6,)))]
        return beside(build)

    yield case("dataMissing", "one-of-three", "H14", missing(0, 4), "2 of 3 chunks", tensor="x")
    yield case("dataMissing", "one-twice", "H14", missing(0, 0, 4),
               "3 chunks, two of them for one place", tensor="x")
    yield case("dataMissing", "one-elsewhere", "H14", missing(0, 2, 40),
               "3 chunks, one of them outside the shape", tensor="x")
    for what, sizes in (("empty", (0, 4)), ("4-gibibytes", (1 << 30, 4)),
                        ("2-gibibytes", (1 << 29, 4)), ("other-rank", (2, 3, 4))):
        yield case("chunkLimit", what, "H16", one(chunked(UNDEFINED, *sizes), shape=(6,)),
                   "a chunk of an absurd shape", tensor="x")
    yield case("chunkLimit", "side-by-side", "H16", beside(
        lambda i, g: [hard("x", i.dataset(filters((DEFLATE, (6,))), chunked(i.tree(
            [(8, (0, place << 26), i.put(bytes(8))) for place in range(3)], rank=2), 2, 1 << 26, 4),
            shape=(2, 3 << 26)))]), "three compressed chunks of 512 MiB in one row", tensor="x")
    yield case("sizeMismatch", "chunks-of-other-elements", "H16", beside(
        lambda i, g: [hard("x", i.dataset(chunked(i.tree(
            [(16, (place,), i.put(FLOATS[:16])) for place in (0, 2, 4)]), 2, 8), shape=(6,)))]),
        "chunks of elements of another size", tensor="x")
    for what, sizes in (("short", (4, 8, 8)), ("long", (8, 16, 8))):
        yield case("sizeMismatch", f"{what}-chunk", "H16", beside(
            lambda i, g: [hard("x", i.dataset(chunked(i.tree(
                [(size, (2 * place,), i.put(FLOATS)) for place, size in enumerate(sizes)]), 2, 4),
                shape=(6,)))]), "a chunk that is stored in another number of bytes", tensor="x")
    yield case("decompressMismatch", "shuffled-short", "H16", beside(
        lambda i, g: [hard("x", i.dataset(filters((SHUFFLE, (4,)), (DEFLATE, (6,))), single_chunk(
            i.put(deflated(FLOATS[:20])), 6, 4, stored=len(deflated(FLOATS[:20]))), shape=(6,)))]),
        "a chunk that gives fewer bytes than it has", tensor="x", fault="tensor")
    yield case("filterNotAllowed", "deflate-twice", "H7", beside(
        lambda i, g: [hard("x", i.dataset(filters((DEFLATE, (6,)), (DEFLATE, (6,))), single_chunk(
            i.put(deflated(deflated(FLOATS))), 6, 4, stored=40), shape=(6,)))]),
        "deflate of deflate", tensor="x")
    data = deflated(FLOATS)
    yield case("expansionLimit", "a-gibibyte-of-nothing", "H15", beside(
        lambda i, g: [hard("x", i.dataset(filters((DEFLATE, (9,))), single_chunk(
            i.put(data), 1 << 28, 4, stored=len(data)), shape=(1 << 28,)))]),
        "a chunk of 1 GiB in a few bytes", tensor="x")
    yield case("decompressMismatch", "garbage", "H18", beside(
        lambda i, g: [hard("x", i.dataset(filters((DEFLATE, (9,))), single_chunk(
            i.put(b"garbage!" * 3), 6, 4, stored=24), shape=(6,)))]),
        "a chunk that is no deflate stream", tensor="x", fault="tensor")
    yield case("decompressMismatch", "adler", "H18", beside(
        lambda i, g: [hard("x", i.dataset(filters((DEFLATE, (9,))), single_chunk(
            i.put(data[:-1] + bytes([data[-1] ^ 1])), 6, 4, stored=len(data)), shape=(6,)))]),
        "a chunk whose own checksum is wrong", tensor="x", fault="tensor")
    short = deflated(FLOATS[:20])
    yield case("decompressMismatch", "less", "H18", beside(
        lambda i, g: [hard("x", i.dataset(filters((DEFLATE, (9,))), single_chunk(
            i.put(short), 6, 4, stored=len(short)), shape=(6,)))]),
        "a chunk that gives fewer bytes than it has", tensor="x", fault="tensor")


# H17.


def extents():
    for what, address, why in (("behind-the-end", 1 << 40, "data behind the end of the file"),
                               ("across-the-end", None, "data that begin in the file"),
                               ("2-to-63", (1 << 63) - 8, "data near 2^63")):
        def build(image, good):
            return [hard("x", image.dataset(contiguous(
                address or len(image.bytes) + 200, 1 << 12), shape=(1 << 10,)))]
        yield case("extentOutOfFile", what, "H17", beside(build), why, tensor="x")
    yield case("extentOutOfFile", "overlap", "H17", beside(lambda i, g: (
        lambda data: [hard("x", i.dataset(contiguous(data, 24))),
                      hard("y", i.dataset(contiguous(data + 8, 24)))])(i.put(FLOATS + FLOATS))),
        "two tensors that share bytes", tensor="y")
    yield case("extentOutOfFile", "twice", "H17", beside(lambda i, g: (
        lambda data: [hard("x", i.dataset(contiguous(data, 24))),
                      hard("y", i.dataset(contiguous(data, 24)))])(i.put(FLOATS))),
        "two tensors on the same bytes")
    yield case("extentOutOfFile", "header", "H17", beside(lambda i, g: [hard("x", i.dataset(
        contiguous(g - 8, 24)))]), "data over the header of another tensor", tensor="x")
    yield case("extentOutOfFile", "superblock", "H17", beside(lambda i, g: [hard("x", i.dataset(
        contiguous(8, 24)))]), "data over the head of the file", tensor="x")
    yield case("hdf5Invalid", "chunk-behind-the-end", "H17", beside(
        lambda i, g: [hard("x", i.dataset(single_chunk(1 << 40, 6, 4), shape=(6,)))]),
        "a chunk behind the end of the file", tensor="x", fault="tensor")

    def shared(image, good):
        data = image.put(bytes(2048))
        trees = [image.tree([(2048, (0,), data)]) for _ in range(8)]
        return [hard(f"x{index}", image.dataset(chunked(tree, 512, 4), shape=(512,)))
                for index, tree in enumerate(trees)] + [
                    hard("y", image.dataset(chunked(image.tree(
                        [(2048, (512 * index,), data) for index in range(60)]), 512, 4),
                        shape=(512 * 60,)))]

    yield case("extentOutOfFile", "one-chunk-everywhere", "H17", beside(shared),
               "many chunks on the same bytes", tensor="y")
    yield case("sizeMismatch", "contiguous", "H17", one(contiguous(48, 16)),
               "fewer bytes than the shape takes", tensor="x")
    yield case("sizeMismatch", "compact", "H17", one(compact(FLOATS[:20])),
               "fewer bytes in the header than the shape takes", tensor="x")
    yield case("hdf5Invalid", "compact-past-its-message", "H17", one(compact(FLOATS, 4000)),
               "data that would reach behind their message", tensor="x")


# H18.


def checksums():
    yield case("checksumMismatch", "fletcher32", "H18", beside(lambda i, g: [hard("x", i.dataset(
        filters(FLETCHER32), single_chunk(i.put(FLOATS + b"abcd"), 6, 4, stored=28),
        shape=(6,)))]), "a chunk whose checksum is wrong", tensor="x", fault="tensor")

    def header(image, good):
        return [hard("x", image.header((DATATYPE, 0, floating()), damage=1))]

    yield case("checksumMismatch", "header", "H18", beside(header),
               "an object whose checksum is wrong", tensor="x")
    image = Image()
    yield case("checksumMismatch", "superblock", "H18", image.finish(
        image.group(hard("weight", image.good())), damage=1), "a head whose checksum is wrong")


# H20.


def texts():
    def text(length, build=lambda image: image.heap(b"text"), number=1):
        return beside(lambda i, g: [attribute("note", struct.pack(
            "<IQI", length, build(i), number), VARIABLE_STRING)])

    for what, data, why in (
            ("4-gibibytes", text(0xFFFFFFFF), "a text of 4 GiB in a heap of 4 bytes"),
            ("longer-than-its-place", text(5), "a text longer than its place in the heap"),
            ("no-such-number", text(4, number=7), "a text that is not in its heap"),
            ("behind-the-end", text(4, lambda i: 1 << 40), "a heap behind the end of the file"),
            ("2-to-63", text(4, lambda i: (1 << 63) + 8), "a heap at 2^63"),
            ("no-heap", text(4, lambda i: 48), "a heap that is none"),
            ("heap-of-2-to-63", text(4, lambda i: i.heap(b"text", size=1 << 63)),
             "a heap of 2^63 bytes"),
            ("not-utf-8", text(4, lambda i: i.heap(b"\xff\xfe\xfd\xfc")), "a text that is none"),
            ("fixed-4-gibibytes", beside(
                lambda i, g: [attribute("note", b"text", string(0xFFFFFFF0))]),
             "a text of 4 GiB in its message"),
            ("fixed-not-utf-8", beside(lambda i, g: [attribute("note", b"\xff\xfe")]),
             "a text that is none"),
            ("name", beside(lambda i, g: [attribute(b"\xff\xfe", b"text")]),
             "an attribute whose name is no text"),
            ("2-to-40-texts", beside(lambda i, g: [attribute(
                "note", b"text", string(4), (1 << 40,))]), "2^40 texts in a few bytes")):
        yield case("attributeInvalid", what, "H20", data, why)
    for what, names in (("leads-out", [b"../../x"]), ("absent", [b"kernel"]),
                        ("absolute", [b"/weight"]), ("itself", [b"."])):
        value = b"".join(name.ljust(16, b"\0") for name in names)
        yield case("attributeInvalid", f"weight-names-{what}", "H20", beside(
            lambda i, g: [hard("lstm", i.group(hard("bias", i.good()), attribute(
                "weight_names", value, string(16), (len(names),))))]),
            "a list of weights that names what is not there", tensor="lstm")
    yield case("attributeInvalid", "layer-names-absent", "H20", beside(
        lambda i, g: [attribute("layer_names", b"lstm\0gru\0\0", string(5), (2,)),
                      hard("lstm", i.group(hard("bias", g)))]),
        "a list of layers that names what is not there")


# H21.


def keras():
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None}}
    for what, layer in (
            ("lambda", {"class_name": "Lambda", "config": {
                "name": "trick", "function": ["4wEAAAAAAAAAAAAAAAEAAAAC", None, None],
                "function_type": "lambda"}}),
            ("keras-3", {"module": "keras.layers", "class_name": "Activation",
                         "config": {"name": "trick", "function": code}}),
            ("wrapped", {"class_name": "TimeDistributed", "config": {"name": "outer", "layer": {
                "class_name": "Lambda", "config": {"name": "trick"}}}})):
        config = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
        yield case("unsupportedLayer", what, "H21",
                   beside(lambda i, g: [attribute("model_config", config)]),
                   "a layer that is Python code")
    yield case("unsupportedLayer", "escaped", "H21", beside(lambda i, g: [attribute(
        "model_config", '{"config":[{"class_name":"L\\u0061mbda","config":{"name":"trick"}}]}')]),
        "a layer that is Python code, spelled otherwise")


# H22, and what makes no file.


def structure():
    def busy(flags):
        image = Image()
        return image.finish(image.group(hard("weight", image.good())), version=3, flags=flags)

    yield case("fileBusy", "being-written", "H22", busy(1), "marked as being written")
    yield case("fileBusy", "swmr", "H22", busy(5), "marked as being written while it is read")

    def whole(**options):
        image = Image()
        root = image.group(hard("weight", image.good()))
        return image.finish(options.pop("root", root), **options)

    good = whole()
    for what, code, data, why in (
            ("signature-alone", "truncated", SIGNATURE, "nothing behind the signature"),
            ("half-a-head", "truncated", good[:30], "half a head"),
            ("half", "truncated", good[:len(good) // 2], "half a file"),
            ("one-byte", "truncated", good[:-1], "all but the last byte"),
            ("end-2-to-62", "truncated", whole(end=1 << 62), "a head that announces 2^62 bytes"),
            ("version-99", "hdf5Invalid", whole(version=99), "a version that there is not"),
            ("flags", "hdf5Invalid", whole(version=3, flags=0xF0), "flags that there are not"),
            ("root-behind-the-end", "hdf5Invalid", whole(root=1 << 40), "a root that is not there"),
            ("root-undefined", "hdf5Invalid", whole(root=UNDEFINED), "no root"),
            ("root-is-no-header", "hdf5Invalid", whole(root=48), "a root that is none"),
            ("no-head", "hdf5Invalid", SIGNATURE + bytes(4000), "zeros behind the signature")):
        yield case(code, what, "H19", data, why)
    for what, make, why in (
            ("header-behind-the-end", lambda i: 1 << 40, "an object behind the end of the file"),
            ("header-in-data", lambda i: i.put(bytes(64)), "an object that is none"),
            ("header-of-4-gibibytes", lambda i: i.header((DATATYPE, 0, floating()),
                                                         size=0xFFFFFFF0),
             "a header of 4 GiB"),
            ("header-empty", lambda i: i.header(), "an object without messages"),
            ("rank-33", lambda i: i.dataset(contiguous(48, 24), shape=(1,) * 33), "33 dimensions"),
            ("tree-in-data", lambda i: i.dataset(chunked(48, 2, 4), shape=(6,)),
             "an index of chunks that is none"),
            ("tree-behind-the-end", lambda i: i.dataset(chunked(1 << 40, 2, 4), shape=(6,)),
             "an index of chunks behind the end of the file")):
        yield case("hdf5Invalid", what, "H19", beside(lambda i, g: [hard("x", make(i))]), why,
                   tensor="x")
    for what, name in (("slash", "a/b"), ("dot", "."), ("not-utf-8", b"\xff\xfe"),
                       ("long", "x" * 1025)):
        yield case("badName", what, "H3", beside(lambda i, g: [hard(name, i.good())]),
                   "a name that none can have")
    yield case("duplicateName", "slash-and-dot", "H3", beside(
        lambda i, g: [hard("a", i.group(hard("b", i.good()))), hard("a.b", i.good())]),
        "a.b and a/b", tensor="a.b")
    yield case("metadataInvalid", "modules", "H20",
               beside(lambda i, g: [attribute("strata_modules", "[{]")]),
               "module records that are no JSON")


def accepted():
    answer = {"weight": ("F32", (2, 3), FLOATS)}

    def read(what, data, why, **more):
        return case("accepted", what, "H17", data, why, answer={**answer, **more})

    yield read("plain", beside(lambda i, g: []), "the good tensor alone")
    yield read("user-block", bytes(512) + beside(lambda i, g: []), "512 bytes before it")
    yield read("tied", beside(lambda i, g: [hard("again", g)]), "one tensor under two names",
               again=answer["weight"])
    yield read("names", beside(lambda i, g: [hard("\x1b]52;c;eA==\x07\u202e", i.good())]),
               "a name that would steer a terminal",
               **{"\x1b]52;c;eA==\x07\u202e": answer["weight"]})
    yield read("compact", one(compact(FLOATS)), "data in the header", x=answer["weight"])
    yield read("tree", beside(lambda i, g: [hard("x", i.dataset(chunked(i.tree(
        [(16, (0,), i.put(FLOATS[:16])), (16, (4,), i.put(FLOATS[16:] + bytes(8)))]), 4, 4),
        shape=(6,)))]), "two chunks, the second one larger than what is left",
        x=("F32", (6,), FLOATS))
    yield read("keras", beside(lambda i, g: [
        hard("lstm", i.group(hard("w", g), attribute("weight_names", b"w", string(1), (1,)))),
        attribute("layer_names", b"lstm", string(4), (1,)),
        attribute("model_config", '{"class_name":"Sequential","config":{"layers":[]}}')]),
        "lists that name what is there", **{"lstm.w": answer["weight"]})
    yield read("lambda-in-a-note", beside(lambda i, g: [attribute("note", "Lambda")]),
               "a note of a lambda is none")
