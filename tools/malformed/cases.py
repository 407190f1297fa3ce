"""One malformed file: what it is called, what is in it, and what must come of it."""

import struct
from dataclasses import dataclass

from .pickles import state_dict
from .zips import Archive, Entry

FLOATS = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
"""The data of `weight`, the good tensor [2, 3] that most files hold."""


@dataclass
class Case:
    """A file of `fixtures/malformed/<format>/`.

    code    the fault's code, or "accepted"
    what    what is wrong, in a few words joined by hyphens
    row     the row of the table of hostile inputs
    data    the file; or {name: bytes} for a directory, whose first file is the one to open
    why     one line: what is wrong
    fault   "file": no command opens it. "tensor": it opens and lists its tensors, and reading
            the tensors throws. "model": its tensors are read, and what it says of their model is
            wrong. "nonfinite": it is read, and refused with --reject-nonfinite
    tensor  the tensor that the error names, where it is one tensor's fault
    answer  of an accepted file: {name: (dtype, shape, bytes)}
    """
    code: str
    what: str
    row: str
    data: object
    why: str
    fault: str = "file"
    extension: str = "pt"
    tensor: str = None
    answer: dict = None


def torch_entries(pickled=None, records=None, byteorder=b"little", prefix="archive"):
    """The entries of a torch archive, in torch's order."""
    records = {"0": FLOATS} if records is None else records
    entries = [Entry(f"{prefix}/data.pkl", pickled or state_dict()),
               Entry(f"{prefix}/.format_version", b"1"),
               Entry(f"{prefix}/.storage_alignment", b"64")]
    if byteorder is not None:
        entries.append(Entry(f"{prefix}/byteorder", byteorder))
    entries += [Entry(f"{prefix}/data/{key}", data) for key, data in records.items()]
    return entries + [Entry(f"{prefix}/version", b"3\n"),
                      Entry(f"{prefix}/.data/serialization_id", b"0" * 40)]


def torch_file(pickled=None, records=None, **options):
    """A torch archive."""
    return Archive(torch_entries(pickled, records, **options)).bytes()
