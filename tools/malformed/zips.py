"""Zip archives put together by hand, in which every field can be wrong.

`Archive` lays out entries as torch.save does: local headers with zero sizes and flag bit 3, data
at multiples of 64 bytes behind the extra field `FB`, a data descriptor behind each, and ZIP64 end
records; or, with `is_plain`, as numpy and every ordinary zip writer do.
"""

import struct
import zlib

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END64, LOCATOR, DESCRIPTOR = b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"
STREAMED, UTF8 = 0x0008, 0x0800  # flag bits 3 and 11


def deflated(data, level=9):
    """Raw deflate, as zip method 8 has it."""
    machine = zlib.compressobj(level, zlib.DEFLATED, -15)
    return machine.compress(data) + machine.flush()


class Entry:
    """A member. What is not given is what a correct writer would have put there.

    stored      the bytes in the file; `data`, or deflated where the method is 8
    local       changes to the local header:      version, flags, method, time, crc, stored_size,
    central     changes to the central record:    size, name, extra; central also made_by, disk,
                                                  attributes, offset, comment
    descriptor  changes to the data descriptor: signature, crc, stored_size, size; or the bytes
    """

    def __init__(self, name, data=b"", method=0, stored=None, flags=0, local=(), central=(),
                 descriptor=()):
        self.name = name.encode() if isinstance(name, str) else name
        self.data, self.method, self.flags = data, method, flags
        self.stored = stored if stored is not None else deflated(data) if method == 8 else data
        self.local, self.central, self.descriptor = dict(local), dict(central), descriptor


class Archive:
    """A whole archive.

    prefix     bytes before it, which its offsets do not count
    end        changes to the end record: disk, central_disk, entries_here, entries, size, offset,
               comment; comment_size
    end64      changes to the ZIP64 record (record_size, made_by, version, disk, central_disk,
               entries_here, entries, size, offset), and `locator`, where the locator points
    has_end64  whether there is a ZIP64 record; as torch does by default
    before_end bytes between the central directory and the end records
    suffix     bytes behind it
    """

    def __init__(self, entries, is_plain=False, prefix=b"", end=(), end64=(), has_end64=None,
                 before_end=b"", suffix=b""):
        self.entries, self.is_plain = entries, is_plain
        self.prefix, self.suffix, self.before_end = prefix, suffix, before_end
        self.end, self.end64 = dict(end), dict(end64)
        self.has_end64 = not is_plain if has_end64 is None else has_end64

    def bytes(self):
        """The file."""
        out, records = bytearray(), []
        for entry in self.entries:
            offset = len(out)
            out += self.local(entry, offset)
            out += entry.stored
            if not self.is_plain:
                out += self.descriptor(entry)
            records.append(self.record(entry, offset))
        start = len(out)
        central = b"".join(records)
        out += central + self.before_end + self.ends(start, len(central), len(out) + len(central))
        return self.prefix + bytes(out) + self.suffix

    def flags(self, entry):
        return entry.flags | (0 if self.is_plain else STREAMED | UTF8)

    def local(self, entry, offset):
        fields = {"version": 20 if self.is_plain else 0, "flags": self.flags(entry),
                  "method": entry.method, "time": 0, "crc": 0, "stored_size": 0, "size": 0,
                  "name": entry.name, "extra": b""}
        if self.is_plain:
            fields.update(crc=zlib.crc32(entry.data), stored_size=len(entry.stored),
                          size=len(entry.data))
        else:
            start = offset + 30 + len(entry.name) + 4
            fields["extra"] = b"FB" + struct.pack("<H", -start % 64) + b"Z" * (-start % 64)
        fields.update(entry.local)
        return LOCAL + struct.pack(
            "<HHHIIIIHH", fields["version"], fields["flags"], fields["method"], fields["time"],
            fields["crc"], fields["stored_size"], fields["size"], len(fields["name"]),
            len(fields["extra"])) + fields["name"] + fields["extra"]

    def descriptor(self, entry):
        if isinstance(entry.descriptor, bytes):
            return entry.descriptor
        fields = {"signature": DESCRIPTOR, "crc": zlib.crc32(entry.data),
                  "stored_size": len(entry.stored), "size": len(entry.data)}
        fields.update(entry.descriptor)
        return fields["signature"] + struct.pack(
            "<III", fields["crc"], fields["stored_size"], fields["size"])

    def record(self, entry, offset):
        fields = {"made_by": 20 if self.is_plain else 0, "version": 20 if self.is_plain else 0,
                  "flags": self.flags(entry), "method": entry.method, "time": 0,
                  "crc": zlib.crc32(entry.data), "stored_size": len(entry.stored),
                  "size": len(entry.data), "name": entry.name, "extra": b"", "comment": b"",
                  "disk": 0, "attributes": 0, "offset": offset}
        fields.update(entry.central)
        return CENTRAL + struct.pack(
            "<HHHHIIIIHHHHHII", fields["made_by"], fields["version"], fields["flags"],
            fields["method"], fields["time"], fields["crc"], fields["stored_size"],
            fields["size"], len(fields["name"]), len(fields["extra"]), len(fields["comment"]),
            fields["disk"], 0, fields["attributes"], fields["offset"],
        ) + fields["name"] + fields["extra"] + fields["comment"]

    def ends(self, start, size, place):
        count, out = len(self.entries), b""
        place += len(self.before_end)
        if self.has_end64:
            fields = {"record_size": 44, "made_by": 0x031E, "version": 45, "disk": 0,
                      "central_disk": 0, "entries_here": count, "entries": count, "size": size,
                      "offset": start, "locator": place, "disks": 1}
            fields.update(self.end64)
            out += END64 + struct.pack(
                "<QHHIIQQQQ", *(fields[name] for name in (
                    "record_size", "made_by", "version", "disk", "central_disk", "entries_here",
                    "entries", "size", "offset")))
            out += LOCATOR + struct.pack("<IQI", 0, fields["locator"], fields["disks"])
        fields = {"disk": 0, "central_disk": 0, "entries_here": count, "entries": count,
                  "size": size, "offset": start, "comment": b""}
        fields.update(self.end)
        return out + END + struct.pack(
            "<HHHHIIH", *(fields[name] for name in (
                "disk", "central_disk", "entries_here", "entries", "size", "offset")),
            fields.get("comment_size", len(fields["comment"]))) + fields["comment"]


def zip64_extra(*sizes):
    """The extra field 1 with 64-bit numbers."""
    return struct.pack("<HH", 1, 8 * len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes)
