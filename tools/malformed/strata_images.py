"""A .strata file put together from the tables of StrataFormat.md, so that any field can be wrong
while every checksum is right."""

import struct
import zlib
from dataclasses import dataclass, field

MAGIC = b"\x89STRATA\r\n\x1a\n\0"
F32, U8 = 2, 12


def padded(data, alignment, filling=b"\0"):
    """Filled up to a multiple of the alignment."""
    return data + filling * (-len(data) % alignment)


@dataclass
class Part:
    """A run of stored bytes, by chunk; what is given besides stands in the table instead of the
    truth."""
    chunks: list
    shift: int = 0
    gap: int = 0
    length: int = None
    chunk_count: int = None
    reserved: int = 0
    padding: bytes = b"\0"


@dataclass
class Tensor:
    """An entry of a tensor table."""
    name: bytes
    shape: tuple
    part: int
    dtype: int = F32
    encoding: int = 0
    rank: int = None
    parameters: bytes = struct.pack("<I", 1 << 20)
    reserved: int = 0
    further: bytes = b""
    padding: bytes = b"\0"
    length: int = None

    def entry(self):
        """Its bytes."""
        name = self.name if isinstance(self.name, bytes) else self.name.encode()
        rank = len(self.shape) if self.rank is None else self.rank
        body = struct.pack("<6H2I", self.dtype, self.dtype, self.encoding, 0, rank, 1, len(name),
                           len(self.parameters))
        body += struct.pack(f"<{len(self.shape)}Q", *self.shape)
        body += struct.pack("<HHI", 0, self.reserved, self.part) + self.parameters + name
        body = padded(b"\0" * 4 + body + self.further, 8, self.padding)[4:]
        return struct.pack("<I", len(body) + 4 if self.length is None else self.length) + body


@dataclass
class Image:
    """A whole file; its own fields are those of the header, or what makes a section wrong."""
    parts: list
    tensors: list
    model: bytes = None
    records: bytes = None
    metadata: list = field(default_factory=list)
    more_sections: list = field(default_factory=list)   # (kind, flags, payload)
    change_sections: object = None                      # {kind: payload} → the same
    section_padding: bytes = b"\0"
    mark: int = 0x1234
    major: int = 1
    required: int = 0
    reserved: int = 0
    sections: int = None
    file_length: int = None
    directory_length: int = None
    part_count: int = None
    tensor_count: int = None
    directory_tail: bytes = b""
    data_tail: bytes = b""
    missing: int = 0

    def bytes(self):
        """The file."""
        data, sums = self.data()
        size = len(self.directory(0, sums)[0])
        directory, count = self.directory(64 + size, sums)
        length = 64 + len(directory) + len(data) if self.file_length is None else self.file_length
        header = MAGIC + struct.pack(
            "<4H3I2QIQ", self.mark, self.major, 0, self.reserved, self.required, 0,
            count if self.sections is None else self.sections, length,
            len(directory) if self.directory_length is None else self.directory_length,
            zlib.crc32(directory), 0)
        return header + struct.pack("<I", zlib.crc32(header)) + directory + data

    def data(self):
        """The data area, and the checksums of every part's chunks."""
        data, sums = b"", []
        for part in self.parts:
            data += b"\0" * part.gap
            # The padding behind a part is under the checksum of its last chunk.
            missing = part.padding * (-sum(map(len, part.chunks)) % 64)
            ends = [*part.chunks[:-1], part.chunks[-1] + missing]
            sums.append([zlib.crc32(chunk) for chunk in ends])
            data += b"".join(ends)
        data += self.data_tail
        return data[:len(data) - self.missing], sums

    def directory(self, data_start, sums):
        """The directory, and how many sections stand in it."""
        sections = {1: self.part_table(data_start, sums),
                    2: self.table([tensor.entry() for tensor in self.tensors], self.tensor_count)}
        for kind, payload in ((4, self.model), (5, self.records)):
            if payload is not None:
                sections[kind] = payload
        if self.metadata:
            sections[6] = self.table([struct.pack("<II", len(key), len(value)) + key + value
                                      for key, value in self.metadata])
        if self.change_sections:
            sections = self.change_sections(sections)
        all_sections = [(kind, kind < 3, payload) for kind, payload in sections.items()]
        all_sections += self.more_sections
        directory = b"".join(
            padded(struct.pack("<IIQ", kind, flags, len(payload)) + payload, 8,
                   self.section_padding)
            for kind, flags, payload in all_sections)
        return padded(directory + self.directory_tail, 64), len(all_sections)

    def part_table(self, end, sums):
        """Section 1."""
        rows = []
        for part, checksums in zip(self.parts, sums):
            end += part.gap
            stored = sum(map(len, part.chunks))
            count = len(part.chunks) if part.chunk_count is None else part.chunk_count
            rows.append(struct.pack("<QQII", (end + part.shift) % 2**64,
                                    stored if part.length is None else part.length, count,
                                    part.reserved)
                        + b"".join(struct.pack("<II", len(chunk), checksum)
                                   for chunk, checksum in zip(part.chunks, checksums)))
            end += stored + -stored % 64
        return self.table(rows, self.part_count)

    @staticmethod
    def table(rows, count=None):
        """Rows behind their number."""
        return struct.pack("<II", len(rows) if count is None else count, 0) + b"".join(rows)
