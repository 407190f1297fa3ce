#!/usr/bin/env python3
"""Read a .strata file, checking every checksum and every rule of its format.

Written from Sources/Checkpoints/Checkpoints.docc/StrataFormat.md alone, as a second reader to
compare Strata's own with. Needs Python 3.9 and numpy. As a library:

    from read_strata import read_strata
    weights = read_strata("model.strata").state_dict["encoder.weight_ih_l0"].data

As a command it prints a table of what the file holds, or with --json the same and the checksums:

    python tools/read_strata.py model.strata [--json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import struct
import sys
import unicodedata
import zlib
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import numpy as np

MAGIC = b"\x89STRATA\r\n\x1a\n\0"
HEADER_LENGTH = 64
ALIGNMENT = 64
MAXIMUM_CHUNK_LENGTH = 1 << 24

PARTS, STATE_DICT, GOLDENS, MODEL, RECORDS, METADATA = range(1, 7)
REQUIRED = 1
RAW, DEFLATE = 0, 1

# Dtype code → name on the page, and how numpy sees its bytes. numpy has no bfloat16.
DTYPES = {
    1: ("F64", "<f8"), 2: ("F32", "<f4"), 3: ("F16", "<f2"), 4: ("BF16", "<u2"),
    5: ("I64", "<i8"), 6: ("I32", "<i4"), 7: ("I16", "<i2"), 8: ("I8", "|i1"),
    9: ("U64", "<u8"), 10: ("U32", "<u4"), 11: ("U16", "<u2"), 12: ("U8", "|u1"),
    13: ("BOOL", "|b1"),
}


class StrataError(Exception):
    """A rule that the file breaks: its code on the page, and the byte of the file where."""

    def __init__(self, code: str, message: str, offset: int):
        super().__init__(message)
        self.code, self.message, self.offset = code, message, offset

    def __str__(self) -> str:
        return f"{self.message} ({self.code}, byte {self.offset})"


@dataclass
class Tensor:
    """Elements of one dtype; `data` is an array of `shape`. BF16 comes as its raw uint16."""

    dtype: str
    shape: Tuple[int, ...]
    data: np.ndarray

    @property
    def is_bfloat16(self) -> bool:
        """Whether `data` holds bit patterns that `widen_bfloat16` turns into numbers."""
        return self.dtype == "BF16"


@dataclass
class File:
    """What a .strata file holds; the tensors and goldens in the order of their tables."""

    version: Tuple[int, int]
    state_dict: Dict[str, Tensor] = field(default_factory=dict)
    goldens: Dict[str, Tensor] = field(default_factory=dict)
    model_description: Optional[str] = None
    module_records: Optional[str] = None
    metadata: Dict[str, str] = field(default_factory=dict)
    skipped: List[int] = field(default_factory=list)  # Kinds of sections.
    unreadable: Dict[str, str] = field(default_factory=dict)  # Name → why.


def widen_bfloat16(patterns: np.ndarray) -> np.ndarray:
    """The float32 of each uint16 bit pattern, exactly; of any shape."""
    return (patterns.astype("<u4") << 16).view("<f4")


def padded(length: int, alignment: int) -> int:
    """`length` in bytes, rounded up to a multiple of `alignment`."""
    return -(-length // alignment) * alignment


class Cursor:
    """Reads fields from `begin` to `end`, two offsets in the file, and never past `end`."""

    def __init__(self, file: bytes, begin: int, end: int):
        self.file, self.offset, self.end = file, begin, end

    @property
    def left(self) -> int:
        return self.end - self.offset

    def fail(self, code: str, message: str):
        raise StrataError(code, message, self.offset)

    def take(self, length: int, what: str) -> bytes:
        if length > self.left:
            self.fail("lengthOutOfRange", f"{what} needs {length} bytes, {self.left} are left")
        self.offset += length
        return self.file[self.offset - length:self.offset]

    def fields(self, layout: str, what: str) -> tuple:
        """Little-endian integers, in the letters of struct: H = u16, I = u32, Q = u64."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), what))

    def zeros(self, length: int, what: str):
        if any(self.take(length, what)):
            self.offset -= length
            self.fail("hole", f"{what} is not zero")

    def slice(self, length: int, what: str) -> Cursor:
        """A cursor for the next `length` bytes, which this one passes over."""
        begin = self.offset
        self.take(length, what)
        return Cursor(self.file, begin, self.offset)

    def count(self, size: int, what: str) -> int:
        """A count of things of at least `size` bytes, and the reserved field behind it."""
        (count,) = self.fields("I", f"number of {what}")
        self.zeros(4, "reserved field")
        self.fits(count, size, what)
        return count

    def fits(self, count: int, size: int, what: str):
        if count * size > self.left:
            self.fail("countExceedsFile", f"{count} {what} in {self.left} bytes")

    def text(self, length: int, code: str, what: str) -> str:
        begin = self.offset
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            raise StrataError(code, f"{what} is not UTF-8", begin) from None

    def finish(self, what: str):
        if self.left:
            self.fail("hole", f"{self.left} bytes behind the end of the {what}")


@dataclass
class Part:
    """A run of stored bytes: `chunks` are its stored lengths in bytes and their CRC-32."""

    offset: int
    length: int
    chunks: List[Tuple[int, int]]
    owner: Optional[str] = None

    @property
    def end(self) -> int:
        return padded(self.offset + self.length, ALIGNMENT)


@dataclass
class Entry:
    """One tensor of a table; `reason` says why it cannot be read, if so."""

    name: str
    shape: Tuple[int, ...]
    dtype: int
    encoding: int
    part: Optional[Part] = None
    chunk_length: int = 0  # Decoded, in bytes.
    reason: Optional[str] = None

    @property
    def element_type(self) -> np.dtype:
        return np.dtype(DTYPES[self.dtype][1])

    @property
    def decoded_lengths(self) -> List[int]:
        """Bytes of each chunk that the shape asks for."""
        total = math.prod(self.shape) * self.element_type.itemsize
        return [min(self.chunk_length, total - at) for at in range(0, total, self.chunk_length)]


def read_header(file: bytes) -> Tuple[Tuple[int, int], int, Cursor]:
    """The version, the number of sections and the directory, its CRC-32 checked."""
    if not (file.startswith(MAGIC) or MAGIC.startswith(file)):
        hint = "; changed by a transfer in text mode?" if b"STRATA" in file[:8] else ""
        raise StrataError("badMagic", "not a .strata file" + hint, 0)
    if len(file) < HEADER_LENGTH:
        raise StrataError("truncated", f"{len(file)} bytes, a header has 64", len(file))
    (order, major, minor, reserved, required, _, sections, length, directory, directory_crc,
     reserved_too, crc) = struct.unpack_from("<4H3I2QIQI", file, 12)
    if order == 0x3412:
        raise StrataError("wrongEndian", "a header in big-endian order", 12)
    if zlib.crc32(file[:60]) != crc:
        raise StrataError("checksumMismatch", "the header's CRC-32 differs", 60)
    if order != 0x1234:
        raise StrataError("checksumMismatch", f"byte order mark {order:#06x}", 12)
    if major != 1:
        raise StrataError("unsupportedVersion", f"version {major}.{minor}, this reads 1", 14)
    if required:
        raise StrataError("unsupportedVersion", f"required flags {required:#x} are unknown", 20)
    if reserved or reserved_too:
        raise StrataError("hole", "a reserved field is not zero", 18 if reserved else 52)
    if max(length, directory) >= 1 << 63:
        raise StrataError("lengthOutOfRange", "a length of 2^63 or more", 32)
    if len(file) < length:
        raise StrataError("truncated", f"{len(file)} of {length} bytes", len(file))
    if len(file) > length:
        raise StrataError("trailingData", f"{len(file) - length} bytes too many", length)
    if directory % 64 or HEADER_LENGTH + directory > length:
        raise StrataError("lengthOutOfRange", f"a directory of {directory} bytes", 40)
    end = HEADER_LENGTH + directory
    if zlib.crc32(file[HEADER_LENGTH:end]) != directory_crc:
        raise StrataError("checksumMismatch", "the directory's CRC-32 differs", HEADER_LENGTH)
    return (major, minor), sections, Cursor(file, HEADER_LENGTH, end)


def read_sections(directory: Cursor, count: int) -> Tuple[Dict[int, Cursor], List[int]]:
    """The payloads of the known sections by kind, and the kinds that are skipped."""
    directory.fits(count, 16, "sections")
    known, skipped, last = {}, [], 0
    for _ in range(count):
        kind, flags, length = directory.fields("IIQ", "section")
        directory.offset -= 16
        if kind <= last:
            directory.fail("metadataInvalid", f"section kind {kind} follows kind {last}")
        if flags & ~REQUIRED:
            directory.fail("hole", f"reserved flags {flags:#x} of section kind {kind}")
        if not PARTS <= kind <= METADATA and flags & REQUIRED:
            directory.fail("unsupportedVersion", f"required section kind {kind} is unknown")
        directory.offset += 16
        payload = directory.slice(length, f"section kind {kind}")
        directory.zeros(-length % 8, "section padding")
        if PARTS <= kind <= METADATA:
            known[kind] = payload
        else:
            skipped.append(kind)
        last = kind
    if directory.left >= 64:
        directory.fail("hole", f"{directory.left} bytes behind the last section")
    directory.zeros(directory.left, "directory padding")
    for kind in (PARTS, STATE_DICT):
        if kind not in known:
            directory.fail("metadataInvalid", f"section kind {kind} is missing")
    return known, skipped


def read_parts(table: Cursor) -> List[Part]:
    parts = []
    for index in range(table.count(24, "parts")):
        offset, length, chunks = table.fields("QQI", "part")
        table.zeros(4, "reserved field")
        if max(offset, length) >= 1 << 63:
            table.fail("lengthOutOfRange", f"part {index} of {length} bytes at {offset}")
        if offset % ALIGNMENT:
            table.fail("misaligned", f"part {index} begins at {offset}")
        table.fits(chunks, 8, "chunks")
        part = Part(offset, length, [table.fields("II", "chunk") for _ in range(chunks)])
        stored = [length for length, _ in part.chunks]
        if 0 in stored or sum(stored) != length:
            table.fail("sizeMismatch", f"part {index} of {length} bytes has chunks of {stored}")
        parts.append(part)
    table.finish("part table")
    return parts


def read_tensor_table(table: Cursor, parts: List[Part], minor: int) -> List[Entry]:
    entries, names = [], set()
    for _ in range(table.count(24, "tensors")):
        begin = table.offset
        (length,) = table.fields("I", "tensor")
        if length % 8 or length < 24:
            table.fail("lengthOutOfRange", f"a tensor's entry of {length} bytes")
        entry = read_entry(table.slice(length - 4, "tensor's entry"), parts, minor)
        canonical = unicodedata.normalize("NFC", entry.name)
        if canonical in names:
            raise StrataError("duplicateName", f"two tensors are called {entry.name!r}", begin)
        names.add(canonical)
        entries.append(entry)
    table.finish("tensor table")
    return entries


def read_entry(cursor: Cursor, parts: List[Part], minor: int) -> Entry:
    """One tensor of the table; what its encoding needs is checked when all the codes are known."""
    dtype, storage, encoding, layout, rank, part_count, name_length, parameter_length = (
        cursor.fields("6H2I", "tensor"))
    if rank > 32:
        cursor.fail("rankLimit", f"rank {rank}, 32 is the most")
    cursor.fits(rank + part_count, 8, "dimensions and parts")
    shape = cursor.fields(f"{rank}Q", "dimensions")
    references = [cursor.fields("HHI", "part of a tensor") for _ in range(part_count)]
    parameters = cursor.slice(parameter_length, "parameters")
    name = cursor.text(name_length, "badName", "name")
    if not 1 <= name_length <= 1024 or "\0" in name:
        cursor.fail("badName", f"the name {name!r} of {name_length} bytes")
    if minor == 0 and cursor.left > 7:
        cursor.fail("hole", f"{cursor.left} bytes behind the name {name!r}")
    if minor == 0:
        cursor.zeros(cursor.left, "padding of an entry")
    if math.prod(size for size in shape if size) * 8 >= 1 << 63:
        cursor.fail("shapeOverflow", f"{name!r} has the shape {list(shape)}")
    for _, reserved, index in references:
        if reserved:
            cursor.fail("hole", f"a reserved field of {name!r} is not zero")
        if index >= len(parts):
            cursor.fail("lengthOutOfRange", f"{name!r} refers to part {index} of {len(parts)}")
        if parts[index].owner is not None:
            cursor.fail("overlap", f"{parts[index].owner!r} and {name!r} share part {index}")
        parts[index].owner = name

    entry = Entry(name, shape, dtype, encoding)
    unknown = [
        text for text, is_unknown in (
            (f"dtype {dtype}", dtype not in DTYPES),
            (f"storage dtype {storage}", storage != dtype),
            (f"encoding {encoding}", encoding not in (RAW, DEFLATE)),
            (f"layout {layout}", layout != 0),
            (f"{part_count} parts", part_count != 1),
            ("part role", any(role for role, _, _ in references)),
        ) if is_unknown
    ]
    if unknown:
        entry.reason = "encodingUnsupported: " + ", ".join(unknown)
        return entry
    entry.part = parts[references[0][2]]
    if parameter_length != 4:
        cursor.fail("sizeMismatch", f"{name!r} has {parameter_length} bytes of parameters, not 4")
    (entry.chunk_length,) = parameters.fields("I", "chunk size")
    if entry.chunk_length % 8 or not 8 <= entry.chunk_length <= MAXIMUM_CHUNK_LENGTH:
        cursor.fail("lengthOutOfRange", f"{name!r} has chunks of {entry.chunk_length} bytes")
    check_chunks(entry, cursor)
    return entry


def check_chunks(entry: Entry, cursor: Cursor):
    """The stored lengths against the shape's, before a byte of memory is asked for."""
    size = entry.element_type.itemsize * math.prod(entry.shape)
    if len(entry.part.chunks) != -(-size // entry.chunk_length):
        cursor.fail("sizeMismatch", f"{entry.name!r}: {len(entry.part.chunks)} chunks do not "
                    f"hold the {size} bytes of its shape")
    for (stored, _), decoded in zip(entry.part.chunks, entry.decoded_lengths):
        if entry.encoding == RAW and stored != decoded:
            cursor.fail("sizeMismatch", f"{entry.name!r}: {stored} raw bytes, not {decoded}")
        if entry.encoding == DEFLATE and decoded > 1032 * stored + 64:
            cursor.fail("expansionLimit", f"{entry.name!r}: {decoded} bytes out of {stored}")


def read_metadata(table: Cursor) -> Dict[str, str]:
    metadata, texts, last = {}, set(), None
    for _ in range(table.count(8, "metadata entries")):
        key_length, value_length = table.fields("II", "metadata entry")
        key = table.text(key_length, "metadataInvalid", "metadata key")
        if last is not None and key.encode() <= last:
            table.fail("metadataInvalid", f"the key {key!r} is out of order")
        if unicodedata.normalize("NFC", key) in texts:
            table.fail("metadataInvalid", f"the key {key!r} occurs in two spellings")
        texts.add(unicodedata.normalize("NFC", key))
        metadata[key] = table.text(value_length, "metadataInvalid", f"value of {key!r}")
        last = key.encode()
    table.finish("metadata")
    return metadata


def check_data_area(file: bytes, begin: int, parts: List[Part]):
    """Parts without gaps from `begin` to the end of the file, with every chunk's CRC-32."""
    expected = begin
    for index, part in enumerate(parts):
        if part.offset != expected:
            code = "overlap" if part.offset < expected else "hole"
            raise StrataError(code, f"part {index} begins at {part.offset}, not {expected}",
                              min(part.offset, expected))
        expected = part.end
        if expected > len(file):
            raise StrataError("lengthOutOfRange", f"part {index} ends at {expected}", part.offset)
    if expected != len(file):
        raise StrataError("hole", f"{len(file) - expected} bytes behind the parts", expected)
    for part in parts:
        at = part.offset
        for index, (stored, crc) in enumerate(part.chunks):
            end = part.end if index == len(part.chunks) - 1 else at + stored
            if zlib.crc32(file[at:end]) != crc:
                of = f" of {part.owner!r}" if part.owner else ""
                raise StrataError("checksumMismatch", f"chunk {index}{of}: its CRC-32 differs", at)
            at += stored
        if any(file[at:part.end]):
            raise StrataError("hole", "the padding behind a part is not zero", at)


def read_tensor(file: bytes, entry: Entry) -> Tensor:
    """The elements, their chunks decoded; the bytes are already known to be those written."""
    size, decoded, at = entry.element_type.itemsize, bytearray(), entry.part.offset
    for (stored, _), length in zip(entry.part.chunks, entry.decoded_lengths):
        chunk = file[at:at + stored]
        if entry.encoding == DEFLATE:
            planes = np.frombuffer(inflate(chunk, length, entry.name, at), np.uint8)
            chunk = planes.reshape(size, -1).T.tobytes()  # Byte j of element i was at j·n + i.
        decoded += chunk
        at += stored
    data = np.frombuffer(decoded, entry.element_type).reshape(entry.shape)
    return Tensor(DTYPES[entry.dtype][0], entry.shape, data)


def inflate(chunk: bytes, length: int, name: str, offset: int) -> bytes:
    """The `length` bytes of one whole zlib stream."""
    stream = zlib.decompressobj()
    try:
        decoded = stream.decompress(chunk, length + 1)
    except zlib.error as error:
        raise StrataError("decompressMismatch", f"{name!r}: {error}", offset) from None
    if len(decoded) != length or not stream.eof or stream.unused_data:
        raise StrataError("decompressMismatch", f"{name!r}: not exactly {length} bytes", offset)
    return decoded


def read_strata(path: str) -> File:
    """All of the file at `path`; raises StrataError for what breaks a rule, and OSError."""
    with open(path, "rb") as stream:
        file = stream.read()
    version, section_count, directory = read_header(file)
    sections, skipped = read_sections(directory, section_count)
    result = File(version, skipped=skipped)
    parts = read_parts(sections[PARTS])
    tables = {kind: read_tensor_table(sections[kind], parts, version[1])
              for kind in (STATE_DICT, GOLDENS) if kind in sections}
    for index, part in enumerate(parts):
        if part.owner is None and not skipped:
            raise StrataError("hole", f"no tensor refers to part {index}", part.offset)
    if MODEL in sections:
        text = sections[MODEL]
        result.model_description = text.text(text.left, "metadataInvalid", "model description")
    if RECORDS in sections:
        text = sections[RECORDS]
        result.module_records = text.text(text.left, "metadataInvalid", "module records")
    if METADATA in sections:
        result.metadata = read_metadata(sections[METADATA])
    check_data_area(file, directory.end, parts)
    for kind, tensors in ((STATE_DICT, result.state_dict), (GOLDENS, result.goldens)):
        for entry in tables.get(kind, []):
            if entry.reason:
                result.unreadable[entry.name] = entry.reason
            else:
                tensors[entry.name] = read_tensor(file, entry)
    return result


def described(name: str, tensor: Tensor) -> dict:
    """What --json says of a tensor; the checksums are those of its decoded bytes."""
    data = tensor.data.tobytes()
    return {"name": name, "dtype": tensor.dtype, "shape": list(tensor.shape),
            "crc32": zlib.crc32(data), "sha256": hashlib.sha256(data).hexdigest()}


def print_table(file: File):
    for title, tensors in (("tensors", file.state_dict), ("goldens", file.goldens)):
        print(f"{len(tensors)} {title}")
        for name, tensor in tensors.items():
            shape = "×".join(map(str, tensor.shape)) or "scalar"
            print(f"  {name!r:40} {tensor.dtype:5} {shape:>16} {tensor.data.nbytes:>12} bytes")
    for name, reason in file.unreadable.items():
        print(f"unreadable: {name!r}: {reason}")
    for key, value in file.metadata.items():
        print(f"{key!r}: {value!r}")
    if file.skipped:
        print("skipped sections:", *file.skipped)


def main() -> int:
    parser = argparse.ArgumentParser(description="Read and check a .strata file.")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print JSON with checksums")
    options = parser.parse_args()
    try:
        file = read_strata(options.file)
    except (StrataError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        print(f"error: {options.file}: {text}", file=sys.stderr)
        return 2
    if not options.json:
        print_table(file)
        return 0
    print(json.dumps({
        "version": "%d.%d" % file.version,
        "tensors": [described(*item) for item in file.state_dict.items()],
        "goldens": [described(*item) for item in file.goldens.items()],
        "modelDescription": file.model_description, "moduleRecords": file.module_records,
        "metadata": file.metadata, "skipped": file.skipped, "unreadable": file.unreadable,
    }, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
