"""Ways to damage a file: anywhere, and where its format says that something stands."""

import io
import json
import pickletools
import os
import struct
import sys
import warnings
import zipfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from malformed.strata_images import padded  # noqa: E402

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 9, 16, 24, 63, 64, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16,
           2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
TOKENS = (
    "0", "1", "-1", "-0", "2", "3", "6", "12", "24", "1.0", "1e2", "1E400", "0x10", "007", "NaN",
    "true", "null", '""', '"a"', '"F32"', '"F64"', '"I8"', '"BF16"', '"F8_E4M3"', '"BOOL"', "[]",
    "[0]", "[2,3]", "[0,24]", "{}", '{"a":"b"}', ",", ":", "}", "]", '"\\u0061"', '"\\ud800"',
    "18446744073709551616", "9007199254740993", " ", "\t", "\\n", '"shape"', '"data_offsets"')
LITERALS = (
    "'<f4'", "'>f4'", "'|b1'", "'|O'", "'<f2'", "'<u8'", "'|V2'", "'<M8[s]'", "'<U3'", "'|S4'",
    "'<c8'", "'f4'", "'=i4'", "'<f16'", "True", "False", "1", "None", "()", "(6,)", "(2, 3)",
    "(3, 2)", "(2, 3, 1)", "[2, 3]", "(-1,)", "(0, 3)", "(2L, 3L)", "(True, 6)", "6", "{}",
    "[('a', '<f4')]", "'descr'", "'shape'", "lambda: 0", "1 + 1", "# comment", "(2**64,)",
    "(18446744073709551616,)", "4294967296", "  ", "\n", ",")


def anywhere(dice, data, other):
    """Bytes changed, cut, copied, moved, or taken from another file."""
    data = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        kind = dice.randrange(9)
        place = dice.randrange(len(data) + 1)
        length = min(dice.choice((1, 2, 4, 8, 16, 64, 200)), len(data) - place)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << dice.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = dice.choice((0, 1, 2, 0x20, 0x2E, 0x7F, 0x80, 0xFE, 0xFF))
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            del data[place:place + length]
        elif kind == 4:
            data[place:place] = data[place:place + length]
        elif kind == 5:
            begin = dice.randrange(len(other) + 1)
            data[place:place + length] = other[begin:begin + length]
        elif kind == 6:
            data[place:place] = bytes(dice.randrange(256) for _ in range(length))
        elif kind == 7:
            size = dice.choice((1, 2, 4, 8))
            number = dice.choice(NUMBERS) % 2**(8 * size)
            data[place:place + size] = number.to_bytes(size, dice.choice(("little", "big")))
        else:
            data[place:place + length] = bytes(length)
    return bytes(data)


def number(dice, data, _):
    """One number of 2, 4 or 8 bytes, aligned, made another one: a little more or less, or
    extreme."""
    size = dice.choice((2, 4, 8))
    place = dice.randrange(len(data) // size) * size
    value = int.from_bytes(data[place:place + size], "little")
    value = dice.choice((value + 1, value - 1, value * 2, value + 8, value - 8, value ^ (1 << 63),
                         dice.choice(NUMBERS))) % 2**(8 * size)
    return data[:place] + value.to_bytes(size, "little") + data[place + size:]


def words(dice, text, tokens):
    """A text in which words and numbers are exchanged, left out, doubled or moved."""
    import re
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|[\w.+-]+|\s+|.', text, re.S)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        if not parts:
            break
        place = dice.randrange(len(parts))
        kind = dice.randrange(5)
        if kind == 0:
            parts[place] = dice.choice(tokens)
        elif kind == 1:
            del parts[place]
        elif kind == 2:
            parts.insert(place, parts[dice.randrange(len(parts))])
        elif kind == 3:
            parts.insert(place, dice.choice(tokens))
        else:
            where = dice.randrange(len(parts))
            parts[place], parts[where] = parts[where], parts[place]
    return "".join(parts)


# safetensors


def safetensors_header(dice, data, _):
    """The header as text; its length made right again, mostly."""
    length = struct.unpack("<Q", data[:8])[0]
    header = words(dice, data[8:8 + length].decode(), TOKENS).encode("utf-8", "replace")
    if dice.random() < 0.5:
        header = padded(header, 8, b" ")
    said = len(header) if dice.random() < 0.9 else dice.choice(NUMBERS)
    return struct.pack("<Q", said % 2**64) + header + data[8 + length:]


def safetensors_tree(dice, data, _):
    """Entries of the header changed as values, so that it stays JSON."""
    length = struct.unpack("<Q", data[:8])[0]
    header, values = json.loads(data[8:8 + length]), data[8 + length:]
    name = dice.choice([name for name in header if name != "__metadata__"])
    entry = header[name]
    kind = dice.randrange(9)
    if kind == 0:
        entry["dtype"] = dice.choice(("F64", "F32", "F16", "BF16", "I8", "U16", "BOOL", "F8_E5M2",
                                      "F4", "C64", "f32", "", None, 4))
    elif kind == 1:
        entry["shape"] = dice.choice(([], [0], [6], [3, 2], [1, 2, 3], [2, 3, 0], [2**32, 2**32],
                                      [-2, -3], [2.0, 3], ["2", 3], [1] * 40, [2**63, 2, 3]))
    elif kind == 2:
        entry["data_offsets"] = [entry["data_offsets"][0] + dice.choice((-8, -1, 0, 1, 8)),
                                 entry["data_offsets"][1] + dice.choice((-8, -1, 0, 1, 8))]
    elif kind == 3:
        header[dice.choice(("", "a", "é", "../x", "a\0b", "x" * 2000, "__metadata__"))] = \
            header.pop(name)
    elif kind == 4:
        entry[dice.choice(("more", "Shape", "dtype "))] = dice.choice((1, None, [], {}))
    elif kind == 5:
        header["__metadata__"] = dice.choice(({}, {"a": "b"}, {"a": 1}, {"a": None}, [], "x", None,
                                              {"a": {"b": "c"}}))
    elif kind == 6:
        entry.pop(dice.choice(list(entry)))
    elif kind == 7:
        values += b"\0" * dice.randrange(1, 9)
    else:
        header["empty"] = {"dtype": "F32", "shape": [0],
                           "data_offsets": [dice.choice((0, 4, len(values), len(values) + 1))] * 2}
    items = list(header.items())
    if dice.random() < 0.3:
        dice.shuffle(items)
    text = json.dumps(dict(items)).encode()
    text = padded(text, 8, dice.choice((b" ", b" ", b"\t", b"\n", b"\0")))
    return struct.pack("<Q", len(text)) + text + values


# zip archives


def archive(entries):
    """A zip archive, everything stored, with right checksums."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as made:
        warnings.simplefilter("ignore")  # Two entries of one name are what is wanted.
        for name, data in entries:
            made.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def entries_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return [(info.filename, file.read(info)) for info in file.infolist()]


def zip_entry(change, chosen):
    """Damage inside the entries that are chosen, with their checksums made right again."""
    def changed(dice, data, other):
        try:
            entries = entries_of(data)
        except zipfile.BadZipFile:
            return anywhere(dice, data, other)
        places = [index for index, (name, _) in enumerate(entries) if chosen(name)]
        place = dice.choice(places)
        entries[place] = (entries[place][0], change(dice, entries[place][1], other))
        return archive(entries)
    return changed


def zip_entries(dice, data, other):
    """Entries left out, doubled, renamed, moved."""
    try:
        entries = entries_of(data)
    except zipfile.BadZipFile:
        return anywhere(dice, data, other)
    place = dice.randrange(len(entries))
    name, contents = entries[place]
    kind = dice.randrange(5)
    if kind == 0:
        del entries[place]
    elif kind == 1:
        entries.append((name.replace("/", "//", 1), contents))
    elif kind == 2:
        entries[place] = (dice.choice(("", "x", "../x", "/x", name + "/", name.upper(), "a.npy.npy",
                                       name[:-1], "archive/data/9", "é.npy")), contents)
    elif kind == 3:
        entries.insert(0, entries.pop(place))
    else:
        entries.append((dice.choice(("extra.txt", "archive/extra/x", "a.npy")), b"more"))
    return archive(entries)


def zip_fields(dice, data, _):
    """One field of a local or central header, or of the end record."""
    places = [place for mark in (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7")
              for place in range(len(data)) if data.startswith(mark, place)]
    if not places:
        return number(dice, data, _)
    place = dice.choice(places) + 2 * dice.randrange(2, 23)
    size = dice.choice((2, 4))
    value = int.from_bytes(data[place:place + size], "little")
    value = dice.choice((value + 1, value - 1, 0, 8, 99, dice.choice(NUMBERS))) % 2**(8 * size)
    return data[:place] + value.to_bytes(size, "little") + data[place + size:]


# npy


def npy_header(dice, data, other):
    """The header's literal; its length made right again, mostly."""
    if data[:6] != b"\x93NUMPY" or len(data) < 12:
        return anywhere(dice, data, other)
    length = struct.unpack("<H", data[8:10])[0]
    text = words(dice, data[10:10 + length].decode("latin-1").rstrip(), LITERALS)
    header = text.encode("utf-8", "replace")
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    major = dice.choice((1, 1, 1, 1, 2, 3, 4))
    size = len(header) if dice.random() < 0.9 else dice.choice((0, 1, 10, 65535))
    packed = struct.pack("<H" if major < 2 else "<I", size % 65536)
    return data[:6] + bytes((major, 0)) + packed + header + data[10 + length:]


# pickles


def opcodes(dice, data, other):
    """Opcodes left out, doubled, exchanged, or with another argument."""
    try:
        starts = [place for _, _, place in pickletools.genops(data)]
    except Exception:  # pylint: disable=broad-except
        return anywhere(dice, data, other)
    pieces = [data[begin:end] for begin, end in zip(starts, [*starts[1:], len(data)])]
    for _ in range(dice.choice((1, 1, 2, 3))):
        place = dice.randrange(len(pieces))
        kind = dice.randrange(6)
        if kind == 0:
            del pieces[place]
        elif kind == 1:
            pieces.insert(place, pieces[dice.randrange(len(pieces))])
        elif kind == 2:
            where = dice.randrange(len(pieces))
            pieces[place], pieces[where] = pieces[where], pieces[place]
        elif kind == 3:
            pieces[place] = dice.choice((
                b"N", b"\x88", b"\x89", b"K\0", b"K\2", b"K\xff", b"M\0\1", b"J\xff\xff\xff\xff",
                b"\x8a\1\x80", b"\x8a\x08" + b"\0" * 7 + b"\x80", b"]", b"}", b")", b"(", b"0",
                b"2", b"\x85", b"\x86", b"\x87", b"t", b"d", b"l", b"s", b"a", b"u", b"e", b"b",
                b"R", b"Q", b"X\1\0\0\0a", b"X\0\0\0\0", b"ctorch\nFloatStorage\n",
                b"ctorch\nDoubleStorage\n",
                b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_parameter\n",
                b"ctorch\nSize\n", b"cbuiltins\nset\n", b"cos\nsystem\n", b"h\0", b"h\1", b"q\0",
                b"."))
        elif len(pieces[place]) > 1:
            argument = bytearray(pieces[place])
            argument[dice.randrange(1, len(argument))] = dice.choice((0, 1, 2, 5, 0x61, 0x7F, 0xFF))
            pieces[place] = bytes(argument)
        if not pieces:
            break
    return b"".join(pieces)


def strata_fields(dice, data, _):
    """A number in header or directory, with all checksums of both made right again."""
    directory = struct.unpack("<Q", data[40:48])[0]
    changed = bytearray(data)
    if dice.random() < 0.2:
        place, size = dice.choice(((12, 2), (14, 2), (16, 2), (18, 2), (20, 4), (24, 4), (28, 4),
                                   (32, 8), (40, 8), (52, 8)))
    else:
        size = dice.choice((2, 4, 4, 8))
        place = 64 + dice.randrange(directory // size) * size
    value = int.from_bytes(changed[place:place + size], "little")
    value = dice.choice((value + 1, value - 1, value ^ 1 << dice.randrange(8 * size), 0,
                         value + 8, dice.choice(NUMBERS))) % 2**(8 * size)
    changed[place:place + size] = value.to_bytes(size, "little")
    if dice.random() < 0.1:
        place = dice.randrange(64 + directory, len(changed))
        changed[place] ^= 1 << dice.randrange(8)
    changed[48:52] = struct.pack("<I", zlib.crc32(changed[64:64 + directory]))
    changed[60:64] = struct.pack("<I", zlib.crc32(changed[:60]))
    return bytes(changed)


KINDS = {
    "strata": (anywhere, number, strata_fields, strata_fields, strata_fields),
    "safetensors": (anywhere, number, safetensors_header, safetensors_header, safetensors_tree,
                    safetensors_tree),
    "pytorch": (anywhere, number, zip_fields, zip_entries,
                zip_entry(opcodes, lambda name: name.endswith("data.pkl")),
                zip_entry(opcodes, lambda name: name.endswith("data.pkl")),
                zip_entry(anywhere, lambda name: not name.endswith("version"))),
    "npz": (anywhere, number, zip_fields, zip_entries, zip_entry(npy_header, lambda name: True),
            zip_entry(npy_header, lambda name: True), npy_header,
            zip_entry(anywhere, lambda name: True)),
    "hdf5": (anywhere, number, number, number),
}
"""What is done to the files of each format; what stands there twice is done twice as often."""
