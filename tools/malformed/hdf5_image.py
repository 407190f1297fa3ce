"""HDF5 files put together message by message, as the HDF5 File Format Specification 3.0 has them.

Superblock 2 or 3, object headers of version 2, links in their group's header: no file needs more
than that, and every number can be wrong.
"""

import struct
import zlib

UNDEFINED = 0xFFFFFFFFFFFFFFFF
SIGNATURE = b"\x89HDF\r\n\x1a\n"
DATASPACE, LINK_INFO, DATATYPE, FILL, LINK, EXTERNAL, LAYOUT = 1, 2, 3, 5, 6, 7, 8
GROUP_INFO, FILTERS, ATTRIBUTE = 10, 11, 12
DEFLATE, SHUFFLE, FLETCHER32, SZIP, NBIT, SCALEOFFSET = 1, 2, 3, 4, 5, 6


def checksum(data):
    """Jenkins' lookup3, as HDF5 uses it for metadata."""
    def rotate(x, bits):
        return (x << bits | x >> (32 - bits)) & 0xFFFFFFFF

    a = b = c = (0xDEADBEEF + len(data)) & 0xFFFFFFFF
    end = max(0, (len(data) - 1) // 12 * 12) if data else 0
    for place in range(0, end, 12):
        x, y, z = struct.unpack_from("<III", data, place)
        a, b, c = (a + x) & 0xFFFFFFFF, (b + y) & 0xFFFFFFFF, (c + z) & 0xFFFFFFFF
        for bits_a, bits_b, bits_c in ((4, 6, 8), (16, 19, 4)):
            a = ((a - c) & 0xFFFFFFFF) ^ rotate(c, bits_a)
            c = (c + b) & 0xFFFFFFFF
            b = ((b - a) & 0xFFFFFFFF) ^ rotate(a, bits_b)
            a = (a + c) & 0xFFFFFFFF
            c = ((c - b) & 0xFFFFFFFF) ^ rotate(b, bits_c)
            b = (b + a) & 0xFFFFFFFF
    if not data:
        return c
    x, y, z = struct.unpack("<III", data[end:].ljust(12, b"\0"))
    a, b, c = (a + x) & 0xFFFFFFFF, (b + y) & 0xFFFFFFFF, (c + z) & 0xFFFFFFFF
    for bits_c, bits_a, bits_b in ((14, 11, 25), (16, 4, 14)):
        c = ((c ^ b) - rotate(b, bits_c)) & 0xFFFFFFFF
        a = ((a ^ c) - rotate(c, bits_a)) & 0xFFFFFFFF
        b = ((b ^ a) - rotate(a, bits_b)) & 0xFFFFFFFF
    return ((c ^ b) - rotate(b, 24)) & 0xFFFFFFFF


# Datatypes.


def floating(size=4, order=0, offset=0, precision=32, exponent=(23, 8), mantissa=(0, 23), bias=127,
             sign=31, norm=2):
    """An IEEE float of 32 bits, but for what is said."""
    return struct.pack("<BBBBIHHBBBBI", 0x11, norm << 4 | order & 1 | order >> 1 << 6, sign, 0,
                       size, offset, precision, *exponent, *mantissa, bias)


def integer(size=4, precision=None, offset=0, signed=True):
    return struct.pack("<BBBBIHH", 0x10, 8 if signed else 0, 0, 0, size, offset,
                       8 * size if precision is None else precision)


def plain(kind, size, bits=0, properties=b"", version=1):
    """A type of any class."""
    return struct.pack("<BBBBI", version << 4 | kind, bits & 255, bits >> 8 & 255, bits >> 16,
                       size) + properties


def string(size):
    """Text of a fixed length, padded with NUL, UTF-8."""
    return plain(3, size, 0x11)


VARIABLE_STRING = plain(9, 16, 0x101, plain(3, 1, 0x10))


# Messages: (type, flags, bytes).


def space(*dimensions):
    """A simple dataspace; without dimensions a scalar."""
    return DATASPACE, 0, struct.pack(f"<BBBB{len(dimensions)}Q", 2, len(dimensions), 0,
                                     1 if dimensions else 0, *dimensions)


def datatype(kind=None):
    return DATATYPE, 0, floating() if kind is None else kind


def committed(address):
    """A datatype that stands in an object of its own."""
    return DATATYPE, 2, struct.pack("<BBQ", 3, 2, address)


def contiguous(address, size):
    return LAYOUT, 0, struct.pack("<BBQQ", 3, 1, address, size)


def compact(data, size=None):
    return LAYOUT, 0, struct.pack("<BBH", 3, 0, len(data) if size is None else size) + data


def chunked(tree, *sizes):
    """Chunks in a B-tree of version 1; the last size is that of an element."""
    return LAYOUT, 0, struct.pack(f"<BBBQ{len(sizes)}I", 3, 2, len(sizes), tree, *sizes)


def chunk_sizes(sizes):
    """The sizes of a chunk in as few bytes each as they need."""
    width = max(1, max((size.bit_length() + 7) // 8 for size in sizes))
    return struct.pack("<BB", len(sizes), width) + b"".join(
        size.to_bytes(width, "little") for size in sizes)


def single_chunk(address, *sizes, stored=None):
    """A dataset of one chunk; `stored` is its size where it is filtered."""
    index = b"" if stored is None else struct.pack("<QI", stored, 0)
    return LAYOUT, 0, struct.pack("<BBB", 4, 2, 0 if stored is None else 2) + chunk_sizes(
        sizes) + b"\1" + index + struct.pack("<Q", address)


def implicit_chunks(address, *sizes):
    """Chunks one behind the other."""
    return LAYOUT, 0, struct.pack("<BBB", 4, 2, 0) + chunk_sizes(sizes) + struct.pack(
        "<BQ", 2, address)


def virtual(heap, number=1):
    return LAYOUT, 0, struct.pack("<BBQI", 4, 3, heap, number)


def filters(*pipeline):
    """Filters by number, or (number, values)."""
    out = struct.pack("<BB", 2, len(pipeline))
    for number in pipeline:
        number, values = number if isinstance(number, tuple) else (number, ())
        # Filters above 255 have a name, here an empty one.
        out += struct.pack("<H", number) + (b"\0\0" if number > 255 else b"")
        out += struct.pack(f"<HH{len(values)}I", 0, len(values), *values)
    return FILTERS, 0, out


def fill(allocation=2):
    """No fill value; space is set aside early (1), late (2) or bit by bit (3)."""
    return FILL, 0, struct.pack("<BB", 3, 8 | allocation)


def attribute(name, value, kind=None, shape=None):
    """An attribute; text gets a fixed length."""
    if isinstance(name, str):
        name = name.encode()
    value = value.encode() if isinstance(value, str) else value
    kind = string(len(value)) if kind is None else kind
    extent = space(*(shape or ()))[2]
    return ATTRIBUTE, 0, struct.pack("<BBHHHB", 3, 0, len(name) + 1, len(kind), len(extent),
                                     1) + name + b"\0" + kind + extent + value


def link(name, kind, value):
    """A link: hard (0), soft (1), external (64) or of a class of its own."""
    name = name.encode() if isinstance(name, str) else name
    return LINK, 0, struct.pack("<BBBBH", 1, 0x19, kind, 1, len(name)) + name + value


def hard(name, address):
    return link(name, 0, struct.pack("<Q", address))


def soft(name, target):
    return link(name, 1, struct.pack("<H", len(target)) + target)


def external(name, file, target):
    value = b"\0" + file + b"\0" + target + b"\0"
    return link(name, 64, struct.pack("<H", len(value)) + value)


def user_defined(name, kind, value=b""):
    return link(name, kind, struct.pack("<H", len(value)) + value)


class Image:
    """A file that grows; `finish` puts the superblock before it."""

    def __init__(self):
        self.bytes = bytearray(48)

    def put(self, data):
        """Appends bytes at a multiple of 8, and gives their address."""
        self.bytes += bytes(-len(self.bytes) % 8)
        address = len(self.bytes)
        self.bytes += data
        return address

    def header(self, *messages, size=None, damage=0):
        """An object header."""
        body = b"".join(struct.pack("<BHB", kind, len(data), flags) + data
                        for kind, flags, data in messages)
        head = b"OHDR\x02\x02" + struct.pack("<I", len(body) if size is None else size) + body
        return self.put(head + struct.pack("<I", checksum(head) ^ damage))

    def group(self, *messages):
        return self.header((LINK_INFO, 0, struct.pack("<BBQQ", 0, 0, UNDEFINED, UNDEFINED)),
                           (GROUP_INFO, 0, b"\0\0"), *messages)

    def dataset(self, *messages, shape=(2, 3), kind=None, allocation=2):
        """A dataset; what is not said is that of six float32 in a matrix."""
        return self.header(space(*shape), datatype(kind), fill(allocation), *messages)

    def good(self, data=struct.pack("<6f", 1, 2, 3, 4, 5, 6)):
        """The good dataset that most files hold."""
        return self.dataset(contiguous(self.put(data), len(data)))

    def tree(self, chunks, rank=1):
        """A B-tree of version 1 with one leaf: [(stored size, offsets, address)]."""
        out = b"TREE" + struct.pack("<BBHQQ", 1, 0, len(chunks), UNDEFINED, UNDEFINED)
        for stored, offsets, address in chunks:
            out += struct.pack(f"<II{rank + 1}QQ", stored, 0, *offsets, 0, address)
        out += struct.pack(f"<II{rank + 1}Q", 0, 0, *([1 << 40] * rank), 0)
        return self.put(out.ljust(24 + 65 * (8 + 8 * (rank + 1)) + 64 * 8, b"\0"))

    def heap(self, *objects, size=None):
        """A global heap."""
        out = b""
        for number, data in enumerate(objects, 1):
            out += struct.pack("<HHIQ", number, 1, 0, len(data)) + data + bytes(-len(data) % 8)
        whole = max(4096, 16 + len(out) + 16)
        out += struct.pack("<HHIQ", 0, 0, 0, whole - 16 - len(out))
        out = b"GCOL\x01\0\0\0" + struct.pack("<Q", whole if size is None else size) + out
        return self.put(out.ljust(whole, b"\0"))

    def names(self, *names):
        """A local heap with these names, for external files."""
        data = b"\0" * 8 + b"".join(name + b"\0" for name in names)
        data += bytes(-len(data) % 8)
        place = self.put(data)
        return self.put(b"HEAP" + struct.pack("<IQQQ", 0, len(data), 1, place))

    def finish(self, root, version=2, flags=0, base=0, end=None, damage=0, prefix=b""):
        """The file; `damage` is added to the superblock's checksum."""
        end = len(self.bytes) if end is None else end
        head = SIGNATURE + struct.pack("<BBBBQQQQ", version, 8, 8, flags, base, UNDEFINED, end,
                                       root)
        self.bytes[:48] = head + struct.pack("<I", checksum(head) ^ damage)
        return prefix + bytes(self.bytes)


def deflated(data):
    return zlib.compress(data, 9)
