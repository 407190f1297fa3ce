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

    def part(self, length: int, what: str) -> Cursor:
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
     reserved_too, crc) = struct.unpack("<4H4I2QIQI", file[12:16] + file[16:64]) if False else (
        *struct.unpack_from("<4H3I2QIQI", file, 12)[:4],
        *struct.unpack_from("<3I2QIQI", file, 20)[:1],
        *struct.unpack_from("<2I2QIQI", file, 24))
    return (major, minor), sections, Cursor(file, 64, 64 + directory)
