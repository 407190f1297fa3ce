"""Lays out the inputs that fuzzing begins with: python seeds.py STRATA DIRECTORY

Everything comes from fixtures/: files as they are, models converted by the tool STRATA, and the
pickles inside archives. One directory for each target of tools/fuzz.
"""

import io
import json
import os
import pathlib
import pickle
import pickletools
import socket
import struct
import subprocess
import sys
import zipfile
import zlib

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures"
sys.path.insert(0, str(FIXTURES.parent / "tools"))

from malformed import hdf5_image as hdf5, pickles as opcodes, pytorch_legacy, zips  # noqa: E402
from malformed.cases import torch_entries  # noqa: E402

LARGEST = 1 << 16  # Larger inputs make a fuzzer slow; what they hold is in smaller ones as well.

LARGEST_MODEL = 24576
# Models small enough to be run some thousand times a second, of every kind that there is.
MODELS = [
    "rnn-tanh-l1-uni-bias", "lstm-l1-uni-bias", "gru-l1-uni-bias", "gru-l3-bi-nobias",
    "lstm-l3-bi-bias", "rnn-relu-state", "lstm-proj-l1", "lstm-float16", "gru-bfloat16",
    "lstm-float64", "encoder-decoder", "convolution-gru", "wrapped-module", "cells-gru",
]
# What zipfile raises for archives that are malformed on purpose.
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError,
              ValueError, EOFError, KeyError)
KINDS = ("head-", "encoder-", "lengths-", "packed-", "cell-", "cells-", "tokens-", "stacked-",
         "intermediates-", "gru-", "lstm-", "rnn-")


class Seeds:
    """The directories, and what goes into them."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def path(self, target, name):
        path = self.directory / target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, target, name, content):
        if 0 < len(content) <= LARGEST:
            self.path(target, name).write_bytes(content)

    def copy(self, target, *patterns):
        for pattern in patterns:
            for path in sorted(FIXTURES.glob(pattern)):
                if path.is_file() and path.stat().st_size <= LARGEST:
                    name = "-".join(path.relative_to(FIXTURES).parts[1:])
                    self.add(target, name, path.read_bytes())


def convert(strata, source, target, *options):
    """Converts; what the tool refuses is no seed."""
    command = [strata, "convert", str(source), str(target), "--force", "--quiet", *options]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def with_tolerance(strata, source, target):
    """A golden whose metadata seal a tolerance."""
    convert(strata, source, target)
    content = target.read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + size])
    header.setdefault("__metadata__", {})["strata_golden_tolerance"] = "atol=1e-4 rtol=1e-3"
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size:])
    return target


def strata_seeds(seeds, strata):
    """Files of our own, with and without goldens, deflated and not."""
    for case in sorted((FIXTURES / "pytorch").iterdir()):
        model, golden = case / "model.h5", case / "golden.h5"
        known = case.name in MODELS or case.name.startswith(KINDS)
        if not (known and golden.is_file()):
            continue
        path = seeds.path("verify", case.name + ".strata")
        if len(case.name) % 3 == 0:
            golden = with_tolerance(strata, golden, seeds.directory / "golden.safetensors")
        done = convert(strata, model, path, "--golden", str(golden))
        if not done or path.stat().st_size > LARGEST_MODEL:
            path.unlink(missing_ok=True)
    (seeds.directory / "golden.safetensors").unlink(missing_ok=True)
    models = (seeds.directory / "verify").glob("*.strata")
    kept = sorted(models, key=lambda path: path.stat().st_size)
    for path in kept[:12]:
        seeds.add("strata", path.name, path.read_bytes())
        deflated = seeds.path("strata", "deflated-" + path.name)
        convert(strata, path, deflated, "--compress", "deflate")
    for name in ("hdf5/dtypes.h5", "hdf5/nested.h5", "containers/every.npz"):
        source = FIXTURES / name
        for compression in ("none", "deflate"):
            target = seeds.path("strata", f"{compression}-{source.stem}.strata")
            convert(strata, source, target, "--compress", compression)
    seeds.copy("strata", "malformed/strata/*.strata")


class Stream(io.RawIOBase):
    """A file that cannot be gone back in, so that zipfile writes data descriptors."""

    def __init__(self):
        super().__init__()
        self.content = b""

    def writable(self):
        return True

    def write(self, content):
        self.content += bytes(content)
        return len(content)


def zipped_anew(content):
    """An archive deflated, with data descriptors, and with ZIP64 sizes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    results = {}
    for name, method, wide in (
        ("deflated", zipfile.ZIP_DEFLATED, False), ("wide", zipfile.ZIP_STORED, True)):
        for target, kind in ((Stream(), "streamed-"), (io.BytesIO(), "")):
            with zipfile.ZipFile(target, "w", method) as output:
                for entry, data in entries:
                    with output.open(entry, "w", force_zip64=wide) as file:
                        file.write(data)
            results[kind + name] = target.content if kind else target.getvalue()
    return results


def zip_seeds(seeds):
    """The same archives packed otherwise, and for npz those that are damaged as archives."""
    for target in ("npz", "pytorch"):
        paths = sorted((seeds.directory / target).iterdir(), key=lambda path: path.stat().st_size)
        packed = 0
        for path in paths:
            if packed == 8 or "Ambiguous" in path.name:
                continue
            try:
                for name, content in zipped_anew(path.read_bytes()).items():
                    seeds.add(target, f"{name}-{path.name}", content)
                packed += 1
            except BROKEN_ZIP:
                pass
    for code in ("zip*", "overlap", "lengthOutOfRange", "unsafePath", "duplicateEntry",
                 "accepted", "expansionLimit", "badName", "truncated"):
        seeds.copy("npz", f"malformed/pytorch/{code}.*.pt")


def npy_seeds(seeds):
    """Arrays, also those in archives."""
    seeds.copy("npy", "containers/*.npy", "malformed/npz/*.npy")
    for path in sorted((seeds.directory / "npz").glob("*.npz")):
        try:
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    if entry.file_size <= 4096:
                        name = f"{path.stem}-{pathlib.PurePath(entry.filename).name or 'empty'}"
                        seeds.add("npy", name[:128], archive.read(entry))
        except BROKEN_ZIP:
            pass


def pickles(content):
    """The pickles that stand one behind the other in a file of before 1.6."""
    stream = io.BytesIO(content)
    found = []
    try:
        while True:
            start = stream.tell()
            for _ in pickletools.genops(stream):
                pass
            found.append(content[start:stream.tell()])
    except (ValueError, UnicodeDecodeError, OverflowError, IndexError, struct.error, EOFError):
        return found  # What follows are bytes of tensors.


def torch_seeds(seeds):
    """Archives by what they are, and the pickles inside."""
    paths = [*FIXTURES.glob("torch/*/*"), *FIXTURES.glob("malformed/pytorch/*")]
    for path in sorted(path for path in paths if path.is_file()):
        if path.suffix not in {".pt", ".pth", ".pt2", ".ckpt", ".tar", ".bin"}:
            continue
        content = path.read_bytes()
        name = f"{path.parent.name}-{path.name}"
        if not content.startswith(b"PK"):
            seeds.add("legacy", name, content)
            for index, each in enumerate(pickles(content)):
                seeds.add("pickle", f"{name}-{index}.pkl", each)
            continue
        target = "pytorch"
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                names = archive.namelist()
                if any("data/weights/" in entry for entry in names) or path.suffix == ".pt2":
                    target = "exported"
                elif any("/code/" in entry for entry in names):
                    target = "torchscript"
                for entry in names:
                    if entry.endswith("data.pkl"):
                        seeds.add("pickle", name + ".pkl", archive.read(entry))
        except BROKEN_ZIP:
            pass
        seeds.add(target, name, content)


def pickle_seeds(seeds):
    """Every opcode that Python writes, and what the builders of malformed files do besides."""
    values = {
        "numbers": [0, 1, 256, -1, 70000, -70000, 1 << 31, 1 << 70, -1 << 70, 1 << 2100, 0.5, None,
                    True, False],
        "texts": ["", "a", "\u00e9\\", "x" * 300, b"", b"abc", b"x" * 300, bytearray(b"abc")],
        "containers": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1], {}, {"a": 1},
                       {"a": 1, "b": 2}, set(), {1, 2}, frozenset(), frozenset({1, 2})],
    }
    shared = ["again"]
    values["shared"] = {"a": shared, "b": shared, "c": [shared] * 3}
    values["all"] = dict(values)
    for name, value in values.items():
        for protocol in range(6):
            seeds.add("pickle", f"{name}-{protocol}", pickle.dumps(value, protocol))
    weight = (opcodes.text("weight"), opcodes.tensor())
    calls = {
        "list": opcodes.call("builtins.list", opcodes.list_of(opcodes.number(1))),
        "tuple": opcodes.call("builtins.tuple", opcodes.list_of(opcodes.number(1))),
        "set": opcodes.call("builtins.set", opcodes.list_of(opcodes.number(1))),
        "dict": opcodes.call("builtins.dict", opcodes.list_of(
            opcodes.tuple_of(opcodes.text("a"), opcodes.number(1)))),
        "size": opcodes.call("torch.Size", opcodes.list_of(opcodes.number(1))),
        "device": opcodes.call("torch.device", opcodes.text("cpu")),
        "counter": opcodes.call("collections.Counter", opcodes.dict_of(
            (opcodes.text("a"), opcodes.number(1)))),
        "object": opcodes.call("copyreg._reconstructor", opcodes.name("a", "B"), opcodes.name(
            "builtins", "object"), opcodes.NONE) + opcodes.dict_of(
                (opcodes.text("x"), opcodes.number(1))) + opcodes.BUILD,
        "new": opcodes.name("a", "B") + opcodes.tuple_of(opcodes.number(1)) + opcodes.EMPTY_DICT
               + b"\x92",
        "appended": opcodes.name("a", "B") + opcodes.EMPTY_TUPLE + opcodes.NEWOBJ
                    + opcodes.number(1) + opcodes.APPEND + opcodes.MARK + opcodes.number(1)
                    + b"\x90" + opcodes.text("a") + opcodes.number(1) + opcodes.SETITEM,
        "marked": b"0(1" + opcodes.MARK + b"d" + opcodes.MARK + b"l",
        "lines": b"I00\nI01\nI5\nL7L\nF0.5\nS'a'\nVb\np5\ng5\n" + b"t",
    }
    for name, value in {**calls, **modules_and_tensors()}.items():
        whole = opcodes.pickle(opcodes.dict_of(weight, (opcodes.text("x"), value)), protocol=4)
        seeds.add("pickle", f"call-{name}", whole)
        seeds.add("pytorch", f"call-{name}", zips.Archive(torch_entries(whole)).bytes())
    for name, root in (("tensor", opcodes.tensor()), ("nothing", opcodes.NONE)):
        seeds.add("pytorch", f"root-{name}",
                  zips.Archive(torch_entries(opcodes.pickle(root))).bytes())


def modules_and_tensors():
    """Values of pickles that only some modules and some tensors have."""
    o = opcodes
    modules = {}
    for kind in ("torch.nn.quantized.modules.linear", "torch.nn.modules.linear"):
        modules[kind.split(".")[2]] = o.name(kind, "Linear") + o.EMPTY_TUPLE + o.NEWOBJ + o.dict_of(
            (o.text("_modules"), o.dict_of((o.text("none"), o.NONE), (o.number(1), o.NONE))),
            (o.text("_parameters"), o.dict_of((o.text("w"), o.tensor()), (o.number(1), o.NONE))),
            (o.text("_buffers"), o.dict_of((o.text("b"), o.tensor()), (o.text("h"), o.tensor()),
                                           (o.number(1), o.tensor()))),
            (o.text("_non_persistent_buffers_set"), b"\x8f" + o.MARK + o.text("h") + b"\x90"),
            (o.text("q"), o.tensor(function="_rebuild_qtensor")), (o.text("t"), o.tensor()),
            (o.text("none"), o.NONE), (o.text("flag"), b"\x88"), (o.number(1), o.NONE),
            (o.text("half"), o.call("torch.Size")), (o.text("word"), o.text("x"))) + o.BUILD
    kinds = ("Char", "Short", "Int", "Double", "Bool", "QInt8", "ComplexFloat", "Nothing")
    transposed = {
        kind: o.tensor(o.storage(count=4, kind=kind + "Storage"), size=(2, 2), stride=(1, 2))
        for kind in kinds}
    wrapped = {
        function: o.call("torch._utils." + function, o.tensor(), o.text("cpu"), b"\x89")
        for function in ("_rebuild_device_tensor_from_numpy", "_rebuild_wrapper_subclass",
                         "_rebuild_sparse_tensor", "_rebuild_nested_tensor",
                         "_rebuild_meta_tensor_no_storage", "_rebuild_parameter")}
    subclass = o.call("torch._tensor._rebuild_from_type_v2", o.name("torch._utils",
                      "_rebuild_tensor_v2"), o.name("a", "Tensor"), o.tuple_of(
                      o.storage(), o.number(0), o.tuple_of(o.number(2)), o.tuple_of(o.number(1)),
                      b"\x89", o.EMPTY_DICT), o.EMPTY_DICT)
    old = o.call("torch._utils._rebuild_tensor", o.storage(), o.number(0),
                 o.tuple_of(o.number(2)), o.tuple_of(o.number(1)))
    filled = o.name("torch", "FloatTensor") + o.EMPTY_TUPLE + o.NEWOBJ + o.tuple_of(
        o.storage(), o.number(0), o.tuple_of(o.number(2)), o.tuple_of(o.number(1))) + o.BUILD
    return {**modules, **transposed, **wrapped, "subclass": subclass, "old": old,
            "filled": filled}


def archive_seeds(seeds):
    """Archives whose streams are damaged, and archives of others."""
    good = bytes(24)
    streams = {"short": zips.deflated(good[:16]), "long": zips.deflated(good * 2),
               "cut": zips.deflated(bytes(range(24)))[:-4], "behind": zips.deflated(good) + b"x",
               "garbage": b"\xff" * 20, "empty": b"", "bomb": b"x"}
    for name, stream in streams.items():
        sizes = {"size": 1 << 30} if name == "bomb" else {}
        entries = [
            zips.Entry(entry.name, entry.data, 8, stream, central=sizes)
            if entry.name.endswith(b"/data/0") else entry for entry in torch_entries()]
        seeds.add("pytorch", f"stream-{name}", zips.Archive(entries, is_plain=True).bytes())
    others = {"empty": [], "arrays": ["a.npy", "b.txt"], "keras": ["model.weights.h5"],
              "compiled": ["a/data/aotinductor/x", "a/version"], "four": ["a", "b", "c", "d"],
              "no-pickle": ["a/version", "a/data/0"], "directory": ["a/"], "drive": ["c:/x"]}
    for name, names in others.items():
        seeds.add("pytorch", f"other-{name}", zips.Archive(
            [zips.Entry(entry, b"") for entry in names], is_plain=True).bytes())
    path = b"\x75\x70\x08\0\x01" + bytes(4) + b"abc"
    for name, extra in (("path", path), ("wide", struct.pack("<HHQQ", 1, 16, 24, 24)),
                        ("other", struct.pack("<HHQQ", 1, 16, 24, 25))):
        entries = torch_entries()
        entries[-1].central["extra"] = extra
        seeds.add("pytorch", f"extra-{name}", zips.Archive(entries, is_plain=True).bytes())


def legacy_seeds(seeds):
    """Tar files with views, numbers as text, long names, and sizes in binary."""
    o = opcodes
    views = o.list_of(o.tuple_of(o.text("8"), o.number(7), o.number(2), o.number(3)))
    one = o.pickle(o.number(1))
    held = o.pickle(o.tuple_of(o.text("7"), o.text("cpu"), o.name("torch", "FloatStorage")))
    seeds.add("legacy", "tar-view", pytorch_legacy.tar_file(
        root=o.dict_of((o.text("weight"), o.text("100") + o.BINPERSID),
                       (o.text("module"), o.tuple_of(o.name("a", "B"), o.NONE) + o.BINPERSID)),
        tensors=one + o.pickle(o.tuple_of(o.number(100), o.number(8), o.NONE))
        + struct.pack("<i4xqqq", 1, 3, 1, 0),
        storages=one + held + struct.pack("<q", 6) + bytes(24) + o.pickle(views)))
    seeds.add("legacy", "tar-no-views", pytorch_legacy.tar_file(
        storages=one + held + struct.pack("<q", 6) + bytes(24) + o.pickle(o.NONE)))
    seeds.add("legacy", "tar-bad-view", pytorch_legacy.tar_file(
        storages=one + held + struct.pack("<q", 6) + bytes(24) + o.pickle(o.list_of(o.NONE))))
    seeds.add("legacy", "tar-bad-count", pytorch_legacy.tar_file(tensors=o.pickle(o.NONE)))
    seeds.add("legacy", "tar-bad-storage", pytorch_legacy.tar_file(storages=one + one))
    seeds.add("legacy", "tar-bad-tensor", pytorch_legacy.tar_file(tensors=one + one))
    plain = pytorch_legacy.tar_file()
    seeds.add("legacy", "tar-cut", plain[:2000])
    for name, place, content in (
            ("binary", 124, b"\x80" + bytes(10) + b"\x40"), ("huge", 124, b"\x80" + b"\xff" * 11),
            ("wide", 124, b"\x80" + bytes(3) + b"\xff" * 8), ("blank", 124, b" " * 12),
            ("word", 124, b"nine".ljust(12)), ("prefix", 345, b"a/b")):
        image = bytearray(plain)
        image[place:place + len(content)] = content
        seal_tar(image, 0)
        seeds.add("legacy", f"tar-{name}", bytes(image))
    seeds.add("legacy", "unknown-magic", o.pickle(o.number(7)))
    seeds.add("legacy", "distributed", o.pickle(o.call("torch.distributed.X")))


def seal_tar(image, start):
    """Puts the checksum of a header right."""
    image[start + 148:start + 156] = b" " * 8
    image[start + 148:start + 156] = b"%06o\0 " % sum(image[start:start + 512])


def variants(value):
    """A JSON value with one thing in it missing or another, in every way."""
    if isinstance(value, (dict, list)):
        items = list(value.items() if isinstance(value, dict) else enumerate(value))
        for key, item in items:
            for other in [None, *variants(item)]:
                copy = value.copy()
                if other is None:
                    del copy[key]
                else:
                    copy[key] = other
                yield copy
    yield from (1 << 62, -1, "x", True, [], {})


def exported_seeds(seeds):
    """The archive with its JSON changed in every place, with two models, and deflated."""
    content = (FIXTURES / "malformed/pytorch/accepted.exported.pt2").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    config = "model/data/weights/model_weights_config.json"

    def add(name, changes, method=zipfile.ZIP_STORED):
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w", method) as archive:
            for entry, data in {**entries, **changes}.items():
                archive.writestr(zipfile.ZipInfo(entry), data, method)
        seeds.add("exported", name, output.getvalue())

    for index, value in enumerate(variants(json.loads(entries[config]))):
        add(f"variant-{index}", {config: json.dumps(value)})
    second = config.replace("model_weights", "second_weights")
    add("two-models", {"model/models/second.json": "{}", second: entries[config]})
    for count in (1, 9):
        members = {str(index): {"path_name": "x"} for index in range(count)}
        add(f"constants-{count}", {
            "model/data/constants/model_constants_config.json": json.dumps({"config": members})})
    add("deflated", {}, zipfile.ZIP_DEFLATED)
    # Before 2.8 the state dict was a file of torch.save inside.
    inner = (FIXTURES / "malformed/pytorch/accepted.deflated.pt").read_bytes()
    for name, names in (("one", ["serialized_state_dict.pt"]),
                        ("both", ["serialized_state_dict.pt", "serialized_constants.pt"]),
                        ("two", ["serialized_state_dict.pt", "serialized_state_dict.json"]),
                        ("newer", ["a/data/weights/model.pt"])):
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            output = io.BytesIO()
            with zipfile.ZipFile(output, "w", method) as archive:
                for entry in names:
                    archive.writestr(entry, inner)
            seeds.add("exported", f"inside-{name}-{method}", output.getvalue())


def torch_union_seeds(seeds):
    """The zip target meets every kind of file, as users give them: the reader tells them apart."""
    for target in ("torchscript", "exported", "legacy"):
        for path in sorted((seeds.directory / target).iterdir()):
            seeds.add("pytorch", f"{target}-{path.name}", path.read_bytes())


def index_seeds(seeds):
    """Indexes of the shards beside them: a.safetensors has w and x, b.safetensors y, c.bin z."""
    maps = {
        "one": {"w": "a.safetensors", "x": "a.safetensors"},
        "two": {"w": "a.safetensors", "x": "a.safetensors", "y": "b.safetensors"},
        "mixed": {"y": "b.safetensors", "z": "c.bin"},
        "torch": {"z": "c.bin"},
        "missing": {"w": "a.safetensors", "q": "a.safetensors"},
        "unnamed": {"w": "a.safetensors"},
        "absent": {"w": "d.safetensors"},
        "unsafe": {"w": "../a.safetensors"},
        "itself": {"w": "model.safetensors.index.json"},
        "empty": {},
    }
    for name, weight_map in maps.items():
        metadata = {"total_size": 6, "format": "pt", "by": "hand"}
        index = {"metadata": metadata, "weight_map": weight_map}
        seeds.add("index", name + ".json", json.dumps(index).encode())
    other = b'{"metadata": {"a": [1]}, "weight_map": {"y": "b.safetensors"}}'
    seeds.add("index", "other.json", other)
    seeds.add("index", "number.json", b'{"weight_map": {"y": 1}}')
    seeds.add("index", "no-map.json", b'{"metadata": {}, "weights": "weight_map"}')
    seeds.copy("index", "containers/*.index.json", "malformed/*/*.json")


def exchange(strata, path):
    """What a helper of the tool sends about an HDF5 file, asked as the target will ask.

    Source: Sources/CheckpointsHDF5/HDF5Exchange.swift and HDF5Directory+Coding.swift.
    """
    here, there = socket.socketpair()
    with here, there, open(path, "rb") as file:
        # Through high numbers, lest one is overwritten before it is used.
        process = os.posix_spawn(strata, [strata, "__h5"], {}, file_actions=[
            (os.POSIX_SPAWN_DUP2, file.fileno(), 103), (os.POSIX_SPAWN_DUP2, there.fileno(), 104),
            (os.POSIX_SPAWN_DUP2, 103, 3), (os.POSIX_SPAWN_DUP2, 104, 4)])
        there.close()
        answers = []

        def answer():
            with here.makefile("rb", buffering=0) as stream:
                header = stream.read(9)
                content = b""
                while len(content) < struct.unpack("<Q", header[1:])[0]:
                    content += stream.read(65536)
                answers.append(header + content)
                return header[0] == 0

        if answer():
            for index, count in deferred(answers[0][9:]):
                middle = count // 2
                for start, end in ((0, count), (0, count), (middle, count), (0, middle), (0, count),
                                   (0, count), (0, count)):
                    if start < end:
                        here.sendall(struct.pack("<IQQ", index, start, end - start))
                        answer()
        here.close()
        os.waitpid(process, 0)
        return b"\1" + b"".join(answers)


def attributes():
    """An HDF5 file with an attribute of each type, and some that are left alone."""
    image = hdf5.Image()
    kinds = {f"{sign}{8 * size}": (hdf5.integer(size, signed=sign == "i"), size)
             for sign in "iu" for size in (1, 2, 4, 8)}
    half = hdf5.floating(2, precision=16, exponent=(10, 5), mantissa=(0, 10), bias=15, sign=15)
    kinds |= {
        "f16": (half, 2), "f32": (hdf5.floating(), 4), "f32be": (hdf5.floating(order=1), 4),
        "f64": (hdf5.floating(8, precision=64, exponent=(52, 11), mantissa=(0, 52), bias=1023,
                              sign=63), 8),
        "bf16": (hdf5.floating(2, precision=16, exponent=(7, 8), mantissa=(0, 7), sign=15), 2),
        "odd": (hdf5.plain(5, 4), 4),
    }
    messages = []
    for name, (kind, size) in kinds.items():
        messages.append(hdf5.attribute(name, b"\x3c" * size, kind))
        messages.append(hdf5.attribute(name + "s", b"\xff" * 2 * size, kind, (2,)))
    messages.append(hdf5.attribute("nan", b"\0\0\xc0\x7f" * 2, hdf5.floating(), (2,)))
    messages.append(hdf5.attribute("matrix", b"a" * 4, hdf5.string(1), (2, 2)))
    messages.append(hdf5.attribute("none", b"", hdf5.string(1), (0,)))
    messages.append(hdf5.attribute("strata_model", "{}"))
    kind, flags, text = hdf5.attribute("padded", "a ", hdf5.plain(3, 2, 0x12))
    messages.append((kind, flags, text))
    # A null space is one of version 2 and class 2.
    name = b"nothing\0"
    for kind in (hdf5.string(1), hdf5.integer()):
        null = struct.pack("<BBBB", 2, 0, 0, 2)
        messages.append((messages[0][0], 0, struct.pack(
            "<BBHHHB", 3, 0, len(name), len(kind), len(null), 1) + name + kind + null))
        name = b"nothing else\0"
    return image.finish(image.group(hdf5.hard("weight", image.good()), *messages))


def deferred(directory):
    """The entries of an encoded directory whose bytes the helper has to be asked for."""
    sizes = [8, 4, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1]
    (count,), offset = struct.unpack_from("<I", directory), 4
    for index in range(count):
        offset += 4 + struct.unpack_from("<I", directory, offset)[0]
        _, dtype, _, _, rank = directory[offset:offset + 5]
        elements = 1
        for size in struct.unpack_from(f"<{rank}Q", directory, offset + 5):
            elements *= size
        offset += 5 + 8 * rank + 16
        if directory[offset - 8:offset] == b"\xff" * 8 and elements * sizes[dtype] <= 1024:
            yield index, elements


def hdf5_seeds(seeds, strata):
    """HDF5 files, and what their readers send."""
    seeds.copy("hdf5", "hdf5/*.h5", "hdf5/*/*.h5", "malformed/hdf5/*.h5")
    seeds.add("hdf5", "attributes-of-all-types", attributes())
    seeds.add("hdf5", "no-signature", b"not HDF5" * 200)
    seeds.add("hdf5", "short", b"HDF")
    for path in sorted((seeds.directory / "hdf5").iterdir()):
        try:
            seeds.add("hdf5-answers", path.stem, exchange(strata, path))
        except (ConnectionError, IndexError, struct.error, TypeError):
            pass  # The helper did not survive.


def main():
    strata, directory = sys.argv[1:]
    seeds = Seeds(directory)
    strata_seeds(seeds, strata)
    torch_seeds(seeds)
    index_seeds(seeds)
    seeds.copy("safetensors", "containers/*.safetensors", "malformed/safetensors/*.safetensors")
    seeds.copy("npz", "containers/*.npz", "malformed/npz/*.npz")
    pickle_seeds(seeds)
    legacy_seeds(seeds)
    exported_seeds(seeds)
    archive_seeds(seeds)
    torch_union_seeds(seeds)
    zip_seeds(seeds)
    npy_seeds(seeds)
    hdf5_seeds(seeds, strata)
    for path in sorted(seeds.directory.iterdir()):
        print(f"{len(list(path.iterdir())):5} seeds for {path.name}")


if __name__ == "__main__":
    main()
