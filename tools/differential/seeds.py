"""Small sound files to damage, each written by the library that its format comes from."""

import io
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from malformed import strata_files  # noqa: E402
from malformed.strata_images import Image, Part, Tensor  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def arrays():
    """Three tensors: a matrix of floats, a row of integers, and flags."""
    import numpy
    return {"rnn.weight": (numpy.arange(6, dtype="<f4").reshape(2, 3) - 2.5),
            "steps": numpy.array([7, -8, 9], "<i8"),
            "mask": numpy.array([True, False, True, True])}


def strata():
    """{name: bytes} of small .strata files: plain, deflated, with everything that may stand in
    one."""
    good = strata_files.image().bytes()
    records = b'[{"options":{"bias":true},"path":"rnn","type":"torch.nn.LSTM"}]'
    planes = struct.pack("<8f", *([0.5] * 8))
    shuffled = bytes(planes[i * 4 + j] for j in range(4) for i in range(8))
    import zlib
    full = Image([Part([strata_files.FLOATS[:16], strata_files.FLOATS[16:]]),
                  Part([zlib.compress(shuffled)])],
                 [Tensor("weight", (2, 3), 0, parameters=struct.pack("<I", 16)),
                  Tensor("deflated", (8,), 1, encoding=1)],
                 model=b'{"modules":[],"version":1}', records=records,
                 metadata=[("gr\u00f6\u00dfe".encode(), b""), (b"key", b"value")]).bytes()
    return {"two tensors": good, "everything": full}


def safetensors():
    from safetensors.numpy import save
    return {"three tensors": save(arrays(), metadata={"format": "pt"}),
            "one tensor": save({"w": arrays()["rnn.weight"]})}


def pytorch():
    import torch
    tensors = {name: torch.from_numpy(value) for name, value in arrays().items()}
    plain, legacy, nested = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(tensors, plain)
    torch.save({"w": tensors["rnn.weight"]}, legacy, _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": {"w": tensors["rnn.weight"].t(), "b": tensors["steps"]},
                "list": [tensors["mask"][1:]]}, nested)
    return {"three tensors": plain.getvalue(), "legacy": legacy.getvalue(),
            "nested": nested.getvalue()}


def npz():
    import numpy
    plain, packed, lone = io.BytesIO(), io.BytesIO(), io.BytesIO()
    numpy.savez(plain, **arrays())
    numpy.savez_compressed(packed, **arrays())
    numpy.save(lone, arrays()["rnn.weight"])
    return {"three arrays": plain.getvalue(), "deflated": packed.getvalue(),
            "one npy": lone.getvalue()}


def hdf5():
    import h5py
    plain, checked, newest = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with h5py.File(plain, "w") as file:
        for name, value in arrays().items():
            file[name] = value
    with h5py.File(checked, "w") as file:
        value = arrays()["rnn.weight"]
        file.create_dataset("w", data=value, chunks=value.shape, compression=4, shuffle=True,
                            fletcher32=True)
    with h5py.File(newest, "w", libver="latest") as file:
        file["w"] = arrays()["rnn.weight"]
        file.attrs["note"] = "text"
    return {"three datasets": plain.getvalue(), "deflated, fletcher32": checked.getvalue(),
            "newest layout": newest.getvalue()}


FORMATS = {"strata": strata, "safetensors": safetensors, "pytorch": pytorch, "npz": npz,
           "hdf5": hdf5}
LIBRARIES = {"safetensors": "safetensors", "npz": "numpy", "pytorch": "torch", "hdf5": "h5py"}


def version(form):
    """The reference reader of a format with its version."""
    import importlib
    if form not in LIBRARIES:
        return "tools/read_strata.py"
    library = importlib.import_module(LIBRARIES[form])
    told = f"{LIBRARIES[form]} {library.__version__.split('+')[0]}"
    if form == "hdf5":
        told += f", libhdf5 {library.version.hdf5_version}"
    return told + (", weights_only" if form == "pytorch" else "")
