"""Malformed files of torch.save: what a zip archive can do. Rows P11 to P18."""

import struct
import zlib

from . import pickles as p
from .cases import FLOATS, Case, torch_entries, torch_file
from .pickles import dict_of, number, pickle, state_dict, tensor, text
from .zips import Archive, Entry, LOCAL, deflated, zip64_extra


def cases():
    """All of them."""
    return [*duplicates(), *headers(), *overlaps(), *checksums(), *ends(), *zip64(), *methods(),
            *paths(), *byteorders(), *cuts(), *variants(), *accepted()]


def changed(place=4, options=None, **changes):
    """A torch archive with changes to one entry; 0 is data.pkl, 4 is data/0."""
    entries = torch_entries()
    for field, value in changes.items():
        setattr(entries[place], field, value)
    return Archive(entries, **(options or {})).bytes()


def plain(**changes):
    """The same as an ordinary zip writer makes it, sizes in the local headers."""
    return changed(options={"is_plain": True}, **changes)


def duplicates():
    """P11."""
    other = Entry("archive/data/0", bytes(24))
    for what, extra, why in (
        ("record", [other], "two records data/0"),
        ("data-pkl", [Entry("archive/data.pkl", state_dict())], "two archive/data.pkl"),
        ("second-tree", torch_entries(prefix="other"), "a second archive beside the first"),
        ("byteorder", [Entry("archive/byteorder", b"big")], "two byte orders"),
    ):
        yield Case("duplicateEntry", what, "P11", Archive(torch_entries() + extra).bytes(), why)


def headers():
    """P12: local header, central record and data descriptor contradict each other."""
    crc = zlib.crc32(FLOATS)
    for what, data, why in (
        ("local-name", changed(local={"name": b"archive/data/9"}), "another name, as long"),
        ("local-name-length", changed(local={"name": b"archive/data/00"}), "a longer name"),
        ("local-method", changed(local={"method": 8}), "deflated here, stored there"),
        ("local-flags", changed(local={"flags": UTF8_AND_ENCRYPTED}), "encrypted here alone"),
        ("local-streamed", changed(central={"flags": 0x0800}), "streamed here alone"),
        ("local-size", plain(local={"size": 20}), "20 bytes here, 24 there"),
        ("local-stored-size", plain(local={"stored_size": 20}), "20 bytes here, 24 there"),
        ("local-crc", plain(local={"crc": crc ^ 1}), "another checksum"),
        ("local-size-and-streamed", changed(local={"size": 20, "stored_size": 20}),
         "bit 3, and yet a size, which is another"),
        ("local-signature", changed_bytes(LOCAL, b"PK\x03\x05", 4), "no local header there"),
        ("descriptor-crc", changed(descriptor={"crc": crc ^ 1}), "another checksum"),
        ("descriptor-size", changed(descriptor={"size": 20}), "20 bytes, 24 there"),
        ("descriptor-stored-size", changed(descriptor={"stored_size": 20}), "the same"),
        ("descriptor-missing", changed(descriptor=b""), "bit 3, and no descriptor"),
        ("directory-by-attributes", changed(central={"attributes": 0x10}),
         "a directory by its attributes, and so nothing for torch.load"),
        ("stored-sizes-differ", changed(central={"size": 48}), "stored as 24 bytes, 48 in all"),
    ):
        yield Case("zipAmbiguous", what, "P12", data, why)


UTF8_AND_ENCRYPTED = 0x0809


def changed_bytes(old, new, occurrence):
    """A torch archive in which one occurrence (from 0) of some bytes is replaced."""
    data, place = torch_file(), -1
    for _ in range(occurrence + 1):
        place = data.index(old, place + 1)
    return data[:place] + new + data[place + len(old):]


def overlaps():
    """P13: two entries on the same bytes."""
    # Fifield's quoting: an entry whose data are the next entry, header and all.
    inner = Archive([Entry("archive/data/1", FLOATS)], is_plain=True, has_end64=False)
    header = inner.local(inner.entries[0], 0) + FLOATS
    entries = torch_entries(pickle(dict_of(
        (text("weight"), tensor(held=p.storage(count=len(header) // 4), size=(2, 3))),
        (text("inner"), tensor(held=p.storage("1"))))), {"0": header + bytes(-len(header) % 4)})
    start = len(Archive(entries[:4]).bytes()) - len(ends_of(entries[:4]))
    at = start + 30 + len(entries[4].name) + 4
    at += -at % 64
    quoted = Entry("archive/data/1", FLOATS, flags=0, central={"offset": at, "flags": 0})
    yield Case("overlap", "quoted-entry", "P13", with_ghost(entries, quoted),
               "an entry inside the data of another")
    whole = torch_entries()
    ghost = Entry(b"archive/data/0", FLOATS)
    start = len(Archive(whole[:4]).bytes()) - len(ends_of(whole[:4]))
    ghost.central = {"offset": start, "name": b"archive/data/0"}
    many = torch_entries()
    yield Case("duplicateEntry", "one-entry-twice", "P13", with_ghost(many, ghost),
               "two central records for one entry")
    size = len(FLOATS) + 60
    yield Case("overlap", "into-the-next", "P13", Archive([
        *whole[:4], Entry("archive/data/0", FLOATS, local={"size": size, "stored_size": size},
                          central={"size": size, "stored_size": size}), *whole[5:]],
        is_plain=True).bytes(), "an entry that reaches into the next one")
    last = torch_entries()
    last[-1] = Entry(last[-1].name, b"0" * 40, local={"size": 90, "stored_size": 90},
                     central={"size": 90, "stored_size": 90})
    yield Case("overlap", "into-the-directory", "P13", Archive(last, is_plain=True).bytes(),
               "an entry that reaches into the central directory")
    yield Case("zipAmbiguous", "directory-in-an-entry", "P13", Archive(
        torch_entries(), end={"offset": 64}, end64={"offset": 64}).bytes(),
        "a central directory that begins inside an entry")


def ends_of(entries):
    """The central directory and the end records of an archive."""
    archive = Archive(entries)
    records = b"".join(archive.record(entry, 0) for entry in entries)
    return records + archive.ends(0, len(records), 0)


def with_ghost(entries, ghost):
    """An archive with a central record more than it has entries."""
    class Haunted(Archive):
        def record(self, entry, offset):
            record = super().record(entry, offset)
            return record + super().record(ghost, 0) if entry is self.entries[-1] else record

    count = len(entries) + 1
    counts = {"entries": count, "entries_here": count}
    return Haunted(entries, end=counts, end64=counts).bytes()


def checksums():
    """P14."""
    crc = zlib.crc32(FLOATS) ^ 1
    wrong = {"crc": crc}
    yield Case("checksumMismatch", "record", "P14", changed(central=wrong, descriptor=wrong),
               "the CRC-32 of data/0 is another", "tensor", tensor="weight")
    data = bytearray(torch_file())
    data[data.index(FLOATS) + 5] ^= 0x40
    yield Case("checksumMismatch", "flipped-bit", "P14", bytes(data),
               "one bit of data/0 is another", "tensor", tensor="weight")
    crc = {"crc": zlib.crc32(state_dict()) ^ 1}
    yield Case("checksumMismatch", "data-pkl", "P14",
               changed(0, central=crc, descriptor=crc), "the CRC-32 of data.pkl is another")
    crc = {"crc": zlib.crc32(b"little") ^ 1}
    yield Case("checksumMismatch", "byteorder", "P14",
               changed(3, central=crc, descriptor=crc), "the CRC-32 of byteorder is another")
    # A view of part of a record: the record as a whole is checked.
    entries = torch_entries(pickle(dict_of(
        (text("weight"), tensor(size=(2, 2), stride=(2, 1))))))
    entries[4].central, entries[4].descriptor = wrong, wrong
    yield Case("checksumMismatch", "view-of-a-record", "P14", Archive(entries).bytes(),
               "the CRC-32 of a record of which a tensor takes a part", "tensor",
               tensor="weight")


def ends():
    """P15: where the archive begins and ends."""
    good = torch_file()
    place = good.rindex(b"PK\x05\x06")
    for what, data, why in (
        ("prefix", b"#!/bin/sh\nexit\n" + good, "bytes before the archive"),
        ("prefix-counted", prefix_counted(), "the same, with offsets that count them"),
        ("comment-with-end", changed(options={"end": {"comment": good[place:]}}),
         "a comment that is an end record"),
        ("comment-with-signature", changed(options={"end": {"comment": b"see PK\x05\x06 there"}}),
         "a comment that holds PK 5 6"),
        ("comment-with-archive", changed(options={"end": {"comment": small()}}),
         "a comment that is an archive"),
        ("second-archive", good + good, "two archives one behind the other"),
        ("second-end", good + good[place:], "two end records"),
        ("suffix", good + b"\0" * 7, "bytes behind the archive"),
        ("comment-too-long", changed(options={"end": {"comment_size": 9}}),
         "a comment of 9 bytes that is not there"),
        ("more-entries", counted(8), "8 entries announced, 7 there"),
        ("fewer-entries", counted(6), "6 entries announced, 7 there"),
        ("no-entries", counted(0), "no entry announced, 7 there"),
        ("entries-here", changed(options={"end": {"entries_here": 3}}),
         "3 of 7 entries on this disk"),
        ("disk", changed(options={"end": {"disk": 1}}), "the second disk of several"),
        ("directory-size", changed(options={"end": {"size": 40}, "end64": {"size": 40}}),
         "a central directory of 40 bytes"),
        ("directory-offset", changed(options={"end": {"offset": 2**31}}),
         "a central directory behind the end"),
        ("before-the-end", changed(options={"before_end": b"\0" * 16, "has_end64": False}),
         "bytes between the central directory and its end"),
    ):
        yield Case("zipAmbiguous", what, "P15", data, why)


def counted(count):
    counts = {"entries": count, "entries_here": count}
    return changed(options={"end": counts, "end64": counts})


def prefix_counted():
    """An archive behind 16 bytes which its own offsets count: a valid zip in all but the place."""
    class Shifted(Archive):
        def record(self, entry, offset):
            return super().record(entry, offset + 16)

        def ends(self, start, size, place):
            return super().ends(start + 16, size, place + 16)

    return Shifted(torch_entries(), prefix=b"#" * 16).bytes()


def small():
    return Archive([Entry("archive/data.pkl", state_dict())], has_end64=False).bytes()


def zip64():
    """P15: the 64-bit records."""
    big = 0xFFFFFFFF
    for what, data, why in (
        ("zip64-count", changed(options={"end64": {"entries": 9, "entries_here": 9}}),
         "another number of entries in 64 bits"),
        ("zip64-count-absurd", changed(options={
            "end64": {"entries": 2**60, "entries_here": 2**60},
            "end": {"entries": 65535, "entries_here": 65535}}), "2^60 entries"),
        ("zip64-offset", changed(options={"end64": {"offset": 0}}), "another offset in 64 bits"),
        ("zip64-offset-absurd", changed(options={
            "end64": {"offset": 2**63}, "end": {"offset": big}}), "offset 2^63"),
        ("zip64-size", changed(options={"end64": {"size": 3}}), "another size in 64 bits"),
        ("zip64-size-absurd", changed(options={"end64": {"size": 2**64 - 1}, "end": {"size": big}}),
         "a central directory of 2^64 - 1 bytes"),
        ("zip64-locator", changed(options={"end64": {"locator": 5}}),
         "a locator that points elsewhere"),
        ("zip64-locator-absurd", changed(options={"end64": {"locator": 2**63}}),
         "a locator that points to 2^63"),
        ("zip64-locator-disks", changed(options={"end64": {"disks": 4}}), "four disks"),
        ("zip64-record-size", changed(options={"end64": {"record_size": 2**62}}),
         "a record of 2^62 bytes"),
        ("zip64-missing", changed(options={"end": {"offset": big}, "has_end64": False}),
         "a 64-bit offset is announced, and no record"),
        ("zip64-extra-missing", changed(central={"size": big, "stored_size": big}),
         "64-bit sizes are announced, and no extra field"),
        ("zip64-extra-short", changed(central={
            "size": big, "stored_size": big, "extra": zip64_extra(24)}),
         "two 64-bit sizes are announced, one is there"),
        ("zip64-extra-twice", changed(central={
            "size": big, "stored_size": big, "extra": zip64_extra(24, 24) + zip64_extra(8, 8)}),
         "two extra fields with sizes"),
        ("zip64-extra-unasked", changed(central={"extra": zip64_extra(48, 48)}),
         "a 64-bit size beside a 32-bit size, another one"),
        ("extra-past-its-end", changed(central={"extra": struct.pack("<HH", 0x4246, 900)}),
         "an extra field longer than all of them"),
        ("local-extra-past-its-end", plain(local={"extra": struct.pack("<HH", 0x4246, 900)}),
         "the same in the local header"),
    ):
        yield Case("zipAmbiguous", what, "P15", data, why)
    for what, changes, why in (
        ("record-beyond-the-end", {"size": 2**31, "stored_size": 2**31}, "2 GiB in a small file"),
        ("record-2-to-63", {"size": big, "stored_size": big, "extra": zip64_extra(2**63, 2**63)},
         "2^63 bytes"),
        ("record-wraps", {"size": big, "stored_size": big,
                          "extra": zip64_extra(2**64 - 16, 2**64 - 16)}, "2^64 - 16 bytes"),
        ("header-beyond-the-end", {"offset": 2**31}, "a local header at 2 GiB"),
    ):
        yield Case("lengthOutOfRange", what, "P15", changed(central=changes), why)


def methods():
    """P16: what is not read."""
    zeros = bytes(1 << 20)
    yield Case("zipUnsupported", "deflated-1000-to-1", "P16", torch_file_of(
        Entry("archive/data/0", zeros, 8), len(zeros) // 4), "a megabyte deflated to a kilobyte")
    bomb = deflated(zeros)
    yield Case("zipUnsupported", "deflated-claims-more", "P16", torch_file_of(Entry(
        "archive/data/0", zeros, 8, stored=bomb, central={"size": 2**31 - 4},
        descriptor={"size": 2**31 - 4}), (2**31 - 4) // 4),
        "a kilobyte that is said to inflate to 2 GiB")
    for what, method in (("method-1", 1), ("method-9", 9), ("bzip2", 12), ("lzma", 14),
                         ("zstandard", 93), ("method-99", 99), ("method-65535", 65535)):
        yield Case("zipUnsupported", what, "P16", changed(method=method), f"method {method}")
    for what, flags, why in (
        ("encrypted", 0x0001, "flag bit 0: encrypted"),
        ("patched", 0x0020, "flag bit 5: patch data"),
        ("strongly-encrypted", 0x0041, "flag bit 6: strong encryption"),
        ("masked", 0x2000, "flag bit 13: masked headers"),
    ):
        yield Case("zipUnsupported", what, "P16", changed(flags=flags), why)
    yield Case("zipUnsupported", "another-disk", "P16", changed(central={"disk": 2}),
               "an entry on another disk")


def torch_file_of(record, count):
    """A torch archive with this record as the storage of a vector."""
    entries = torch_entries(pickle(dict_of(
        (text("weight"), tensor(held=p.storage(count=count), size=(count,), stride=(1,))))))
    entries[4] = record
    return Archive(entries).bytes()


def paths():
    """P17: names that would lead out of a directory."""
    def with_name(name, **options):
        return Archive([*torch_entries(), Entry(name, b"x", **options)]).bytes()

    for what, entry_name, why in (
        ("parent", "../x", "../x"),
        ("parent-inside", "archive/../../x", "a parent in the middle"),
        ("parent-at-the-end", "archive/..", "a parent at the end"),
        ("absolute", "/etc/x", "an absolute path"),
        ("backslash", "archive\\..\\x", "backslashes"),
        ("drive", "C:/x", "a drive"),
    ):
        yield Case("unsafePath", what, "P17", with_name(entry_name), why)
    yield Case("unsafePath", "symlink", "P17", with_name(
        "archive/link", central={"made_by": 0x031E, "attributes": 0o120777 << 16}),
        "a symbolic link")
    yield Case("badName", "empty", "P17", with_name(b""), "no name")
    yield Case("badName", "nul", "P17", with_name(b"archive/data/0\0.txt"), "a name with a NUL")
    yield Case("badName", "no-utf-8", "P17", with_name(b"archive/\xff\xfe"),
               "a name that is no UTF-8, with the flag that says it is")


def byteorders():
    """P18."""
    for what, content in (("garbage", b"middle"), ("empty", b""), ("longer", b"little\n"),
                          ("upper-case", b"BIG"), ("long", b"little" * 1000)):
        yield Case("byteorderInvalid", what, "P18", torch_file(byteorder=content),
                   f"a byte order of {len(content)} bytes: {content[:12]!r}")


def cuts():
    """Every archive ends where its end record says."""
    good = torch_file()
    for what, length in (("half", len(good) // 2), ("in-the-end-record", len(good) - 4),
                         ("without-the-directory", good.index(b"PK\x01\x02")),
                         ("in-a-local-header", 20), ("four-bytes", 4)):
        yield Case("truncated", what, "P15", good[:length], f"{length} of {len(good)} bytes")


def variants():
    """P19: archives of other kinds."""
    frozen = pickle(p.name("__torch__", "Model") + p.EMPTY_TUPLE + p.NEWOBJ + dict_of() + p.BUILD)
    yield Case("unsupportedVariant", "frozen-script", "P19", Archive([
        Entry("model/data.pkl", frozen), Entry("model/code/__torch__.py", b"class Model(Module):"),
        Entry("model/constants/0", FLOATS), Entry("model/constants.pkl", pickle(p.tuple_of(
            tensor())))]).bytes(), "TorchScript whose weights are constants of its code")
    yield Case("unsupportedVariant", "distributed-part", "P19", torch_file() * 2,
               "a file of torch.distributed.checkpoint: archives one behind the other",
               extension="distcp")
    yield Case("unsupportedVariant", "distributed-metadata", "P19", pickle(
        p.name("torch.distributed.checkpoint.metadata", "Metadata") + p.EMPTY_TUPLE + p.NEWOBJ
        + dict_of() + p.BUILD), "what torch.distributed.checkpoint says beside such files",
        extension="metadata")


def accepted():
    """What looks odd and is none the worse for it."""
    good = {"weight": ("F32", (2, 3), FLOATS)}
    big = struct.pack(">6f", *struct.unpack("<6f", FLOATS))
    yield Case("accepted", "big-endian", "P18", torch_file(records={"0": big}, byteorder=b"big"),
               "byte order big", answer=good)
    yield Case("accepted", "no-byteorder", "P18", torch_file(byteorder=None),
               "no byte order, as before 2.1", answer=good)
    no_crc = {"crc": 0}
    yield Case("accepted", "crc-0", "P14", changed(central=no_crc, descriptor=no_crc),
               "a CRC-32 of 0, which says nothing", answer=good)
    yield Case("accepted", "plain-zip", "P12", plain(), "sizes in the local headers", answer=good)
    yield Case("accepted", "descriptor-without-signature", "P12",
               changed(descriptor={"signature": b""}), "the signature is optional", answer=good)
    yield Case("accepted", "zip64-sizes", "P15", changed(central={
        "size": 0xFFFFFFFF, "stored_size": 0xFFFFFFFF, "extra": zip64_extra(24, 24)}),
        "64-bit sizes of a small entry", answer=good)
    yield Case("accepted", "comment", "P15", changed(options={"end": {"comment": b"a comment"}}),
               "a comment", answer=good)
    yield Case("accepted", "no-zip64", "P15", changed(options={"has_end64": False}),
               "no 64-bit records", answer=good)
    yield Case("accepted", "deflated", "P16", changed(method=8, stored=deflated(FLOATS)),
               "a record that is deflated, as other tools repack it", answer=good)
    for what, name in (("terminal-escape", "\x1b]52;c;eA==\x07weight"),
                       ("right-to-left", "‮weight‬"), ("newline", "weight\n_ih")):
        yield Case("accepted", what, "N17", torch_file(pickle(dict_of((text(name), tensor())))),
                   "a name that would steer a terminal",
                   answer={name: ("F32", (2, 3), FLOATS)})
    yield Case("accepted", "unknown-class", "P1", torch_file(state_dict(
        (text("x"), p.name("mine", "Thing") + p.EMPTY_TUPLE + p.NEWOBJ
         + dict_of((text("a"), number(1))) + p.BUILD))), "an object of an unknown class",
        answer=good)
    thing = p.name("mine", "Thing")
    hook = p.call("__builtin__.getattr", thing + p.EMPTY_TUPLE + p.NEWOBJ, text("hook"))
    inner = p.call("__builtin__.getattr", thing, text("Inner"))
    for what, opcodes, why in (
        ("bound-method", hook, "a method of an object, as hooks are"),
        ("bound-method-called", hook + p.EMPTY_TUPLE + p.REDUCE, "the result of a method"),
        ("nested-class", inner + p.EMPTY_TUPLE + p.NEWOBJ + dict_of() + p.BUILD,
         "an object of a class inside a class"),
    ):
        yield Case("accepted", what, "P1", torch_file(state_dict((text("x"), opcodes))), why,
                   answer=good)
    yield Case("accepted", "colon", "P17", Archive(torch_entries(prefix="m:1")).bytes(),
               "a directory with a colon, as torch.save gives to m:1.pt", answer=good)
    yield Case("accepted", "unknown-call", "P1", torch_file(state_dict(
        (text("x"), p.call("mine.make", number(1))))), "a call of an unknown function",
        answer=good)
