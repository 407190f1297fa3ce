"""Malformed files of torch.save before 1.6, of its older tar archives, of TorchScript and .pt2."""

import io
import json
import struct
import tarfile

from . import pickles as p
from .cases import FLOATS, Case, torch_entries
from .pickles import call, dict_of, list_of, name, number, pickle, tensor, text, tuple_of
from .pytorch_pickles import MARKER
from .zips import Archive, Entry

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
GOOD = {"weight": ("F32", (2, 3), FLOATS)}


def cases():
    """All of them."""
    return [*legacy(), *tar(), *script(), *exported()]


def held(key="0", count=6, kind="FloatStorage", view=p.NONE):
    """The persistent id of a storage; the view is what only this format has."""
    return tuple_of(text("storage"), name("torch", kind), text(key), text("cpu"), number(count),
                    view) + p.BINPERSID


def legacy_file(magic=MAGIC, protocol=PROTOCOL, system=None, root=None, keys=None, tail=None):
    """Five pickles, then the storages: a count and the numbers, in the order of the keys."""
    system = system or dict_of(
        (text("protocol_version"), number(1001)), (text("little_endian"), b"\x88"),
        (text("type_sizes"), dict_of((text("short"), number(2)), (text("int"), number(4)),
                                     (text("long"), number(4)))))
    root = root or dict_of((text("weight"), tensor(held())))
    keys = list_of(text("0")) if keys is None else keys
    tail = struct.pack("<q", 6) + FLOATS if tail is None else tail
    return b"".join(pickle(each) for each in (
        number(magic), number(protocol), system, root, keys)) + tail


def legacy():
    """The format before 1.6."""
    good = legacy_file()
    big = dict_of((text("protocol_version"), number(1001)), (text("little_endian"), b"\x89"))
    yield Case("accepted", "legacy", "P18", good, "the format before 1.6", answer=GOOD)
    yield Case("accepted", "legacy-big-endian", "P18",
               legacy_file(system=big),
               "written by a big-endian machine, which turns the numbers round when it writes",
               answer=GOOD)
    view = tuple_of(text("1"), number(2), number(4))
    yield Case("accepted", "legacy-view", "P9", legacy_file(root=dict_of(
        (text("weight"), tensor(held())),
        (text("part"), tensor(held(view=view), size=(4,), stride=(1,))))),
        "a storage that is a view of another one, as before 0.4",
        answer={**GOOD, "part": ("F32", (4,), FLOATS[8:])})
    yield Case("forbiddenGlobal", "legacy-os-system", "P1", legacy_file(root=dict_of(
        (text("weight"), tensor(held())),
        (text("x"), call("os.system", text(f"echo ran > {MARKER}"))))), "os.system")
    yield Case("forbiddenGlobal", "legacy-in-the-first-pickle", "P1",
               pickle(call("os.system", text(f"echo ran > {MARKER}"))) + good,
               "os.system before the magic number", extension="pth")
    yield Case("unsupportedVersion", "legacy-protocol", "P19", legacy_file(protocol=1002),
               "version 1002 of the format")
    for what, data, why in (
        ("legacy-system-is-a-list", legacy_file(system=list_of(number(1))), "no dict"),
        ("legacy-keys-are-a-dict", legacy_file(keys=p.EMPTY_DICT), "no list of keys"),
        ("legacy-keys-are-numbers", legacy_file(keys=list_of(p.EMPTY_DICT)), "keys that are dicts"),
        ("legacy-endian-is-text", legacy_file(system=dict_of((text("little_endian"), text("no")))),
         "little_endian is a string"),
    ):
        yield Case("pickleTypeError", what, "P3", data, why)
    for what, data, why in (
        ("legacy-count", legacy_file(tail=struct.pack("<q", 5) + FLOATS[:20]),
         "5 numbers behind the pickles, 6 in them"),
        ("legacy-count-negative", legacy_file(tail=struct.pack("<q", -6) + FLOATS), "-6 numbers"),
        ("legacy-count-huge", legacy_file(tail=struct.pack("<q", 2**62) + FLOATS), "2^62 numbers"),
        ("legacy-key-missing", legacy_file(keys=p.EMPTY_LIST, tail=b""),
         "a storage that no key names"),
        ("legacy-view-outside", legacy_file(root=dict_of((text("weight"), tensor(held(
            view=tuple_of(text("1"), number(4), number(6))))))),
         "a view of 6 numbers at the fourth of 6"),
    ):
        yield Case("sizeMismatch", what, "P8", data, why)
    yield Case("strideOutOfRange", "legacy", "P9", legacy_file(
        root=dict_of((text("weight"), tensor(held(), offset=1)))), "a number behind the storage")
    yield Case("trailingData", "legacy", "P8", good + b"\0", "a byte behind the last storage")
    yield Case("duplicateName", "legacy-keys", "P11", legacy_file(
        keys=list_of(text("0"), text("0")), tail=2 * (struct.pack("<q", 6) + FLOATS)),
        "one key twice")
    for what, length, why in (("storage", len(good) - 4, "the last number is missing"),
                              ("count", len(good) - 28, "half a count"),
                              ("storages", len(good) - 32, "no storage")):
        yield Case("truncated", f"legacy-{what}", "P8", good[:length], why)
    root = good.index(b"weight")
    yield Case("pickleMalformed", "legacy-cut", "P7", good[:root], "cut in the fourth pickle")


def tar_file(root=None, tensors=None, storages=None, names=None, links=()):
    """The format of 2016: a tar of sys_info, pickle, tensors, storages."""
    root = root or dict_of((text("weight"), number(100) + p.BINPERSID))
    # A tensor is (key, storage key, type) and then rank, sizes, strides and offset, in binary.
    entry = pickle(tuple_of(number(100), number(7), name("torch", "FloatTensor")))
    parts = {
        "sys_info": pickle(dict_of((text("protocol_version"), number(1000)),
                                   (text("little_endian"), b"\x88"))),
        "pickle": pickle(root),
        "tensors": tensors if tensors is not None else pickle(number(1)) + entry + struct.pack(
            "<i4x2q2qq", 2, 2, 3, 3, 1, 0),
        "storages": storages if storages is not None else pickle(number(1)) + pickle(tuple_of(
            number(7), text("cpu"), name("torch", "FloatStorage"))) + struct.pack("<q", 6)
        + FLOATS + pickle(p.EMPTY_LIST),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for part, data in [*parts.items(), *(names or [])]:
            member = tarfile.TarInfo(part)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for part, target in links:
            member = tarfile.TarInfo(part)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return out.getvalue()


def tar():
    """The format of 2016 and before."""
    good = tar_file()

    def storages(count, data):
        return pickle(number(1)) + pickle(tuple_of(
            number(7), text("cpu"), name("torch", "FloatStorage"))) + struct.pack(
            "<q", count) + data + pickle(p.EMPTY_LIST)

    yield Case("accepted", "tar", "P18", good, "the format of 2016", extension="tar", answer=GOOD)
    command = call("os.system", text(f"echo ran > {MARKER}"))
    for code, what, row, data, why in (
        ("forbiddenGlobal", "tar-os-system", "P1", tar_file(root=dict_of((text("x"), command))),
         "os.system"),
        ("truncated", "tar", "P8", good[:1800], "cut"),
        ("unsafePath", "tar-parent", "P17", tar_file(names=[("../x", b"x")]), "../x"),
        ("unsafePath", "tar-absolute", "P17", tar_file(names=[("/etc/x", b"x")]), "/etc/x"),
        ("unsafePath", "tar-symlink", "P17", tar_file(links=[("link", "/etc/hostname")]),
         "a symbolic link"),
        ("duplicateEntry", "tar", "P11", tar_file(names=[("pickle", pickle(p.EMPTY_DICT))]),
         "two members pickle"),
        ("checksumMismatch", "tar-header", "P14",
         good[:512 * 2 + 148] + b"0000000\0" + good[512 * 2 + 156:],
         "the checksum of a member's header is another"),
        ("sizeMismatch", "tar-storage", "P8", tar_file(storages=storages(2**61, FLOATS)),
         "2^61 numbers"),
        ("sizeMismatch", "tar-storage-negative", "P8", tar_file(storages=storages(-1, FLOATS)),
         "-1 numbers"),
        ("strideOutOfRange", "tar-tensor", "P9", tar_file(tensors=pickle(number(1)) + pickle(
            tuple_of(number(100), number(7), name("torch", "FloatTensor"))) + struct.pack(
            "<i4x2q2qq", 2, 2, 3, 3, 1, 5)), "numbers behind the storage"),
        ("rankLimit", "tar-tensor", "P9", tar_file(tensors=pickle(number(1)) + pickle(
            tuple_of(number(100), number(7), name("torch", "FloatTensor"))) + struct.pack(
            "<i4x", 2**31 - 1)), "rank 2^31 - 1"),
    ):
        yield Case(code, what, row, data, why, extension="tar")


def script():
    """TorchScript: the module tree is the state of objects of classes below __torch__."""
    def module(*pairs):
        return (name("__torch__.Model", "Model") + p.EMPTY_TUPLE + p.NEWOBJ + b"q\x01"
                + dict_of(*pairs) + p.BUILD)

    def archive(*pairs, constants=None, code=b"class Model(Module):\n  pass\n"):
        entries = torch_entries(pickle(module(*pairs)))
        code = Entry("archive/code/__torch__.py", code, 8)
        constants = Entry("archive/constants.pkl", constants or pickle(p.EMPTY_TUPLE))
        return Archive([*entries[:5], code, constants, *entries[5:]]).bytes()

    weight = (text("weight"), tensor())
    command = call("os.system", text(f"echo ran > {MARKER}"))
    yield Case("accepted", "script", "P19", archive((text("training"), b"\x89"), weight),
               "TorchScript", answer=GOOD)
    yield Case("forbiddenGlobal", "script-os-system", "P1", archive(weight, (text("x"), command)),
               "os.system in a TorchScript archive")
    yield Case("nestingLimit", "script-child-of-itself", "P6",
               archive(weight, (text("child"), b"h\x01")), "a module that is its own child")
    yield Case("unsupportedVariant", "script-packed", "P19", archive(weight, (
        text("packed"), name("__torch__.torch.classes.quantized", "LinearPackedParamsBase")
        + p.EMPTY_TUPLE + p.NEWOBJ + tuple_of(tensor(), p.NONE) + p.BUILD)),
        "weights packed by the quantising back end", "tensor", tensor="packed")


def exported():
    """torch.export: names and layouts stand in JSON."""
    meta = {"dtype": 7, "layout": 7, "requires_grad": True, "device": {"type": "cpu"},
            "sizes": [{"as_int": 2}, {"as_int": 3}], "strides": [{"as_int": 3}, {"as_int": 1}],
            "storage_offset": {"as_int": 0}}

    def archive(entry=None, config=None, data=FLOATS, extra=(), **changes):
        if config is None:
            entry = {"path_name": "weight_0", "is_param": True, "use_pickle": False,
                     "tensor_meta": {**meta, **changes}, **(entry or {})}
            config = json.dumps({"config": {"weight": entry}}).encode()
        return Archive([
            Entry("model/archive_format", b"pt2"), Entry("model/archive_version", b"0"),
            Entry("model/byteorder", b"little"), Entry("model/models/model.json", b"{}"),
            Entry("model/data/weights/model_weights_config.json", config),
            Entry("model/data/weights/weight_0", data), *extra,
            Entry("model/version", b"3\n"),
            Entry("model/.data/serialization_id", b"0" * 40)]).bytes()

    yield Case("accepted", "exported", "P19", archive(), "torch.export", extension="pt2",
               answer=GOOD)
    dimension = [{"as_int": 2}, {"as_int": -3}]
    for code, what, row, data, why in (
        ("headerInvalid", "exported-no-json", "P19", archive(config=b"{"), "JSON that ends early"),
        ("headerInvalid", "exported-a-list", "P19", archive(config=b"[]"), "a list"),
        ("headerInvalid", "exported-no-config", "P19", archive(config=b"{}"), "no config"),
        ("nestingLimit", "exported", "P6", archive(config=b"[" * 20_000), "20,000 lists"),
        ("duplicateName", "exported", "P11", archive(
            config=archive_config(meta, ("weight", "weight"))), "one name twice"),
        ("sizeMismatch", "exported-record", "P8", archive(data=FLOATS[:20]),
         "20 bytes for 6 numbers"),
        ("sizeMismatch", "exported-no-record", "P8", archive({"path_name": "weight_9"}),
         "a record that is not there"),
        ("unsafePath", "exported", "P17", archive({"path_name": "../../../etc/x"}),
         "a record outside"),
        ("strideOutOfRange", "exported-offset", "P9", archive(storage_offset={"as_int": 1}),
         "a number behind the record"),
        ("badInteger", "exported-negative", "P9", archive(sizes=dimension), "a dimension of -3"),
        ("badInteger", "exported-huge", "P9", archive(
            sizes=[{"as_int": 2**64}, {"as_int": 3}]), "a dimension of 2^64"),
        ("strideOutOfRange", "exported-strides", "P9", archive(strides=[{"as_int": 1}]),
         "two dimensions, one stride"),
    ):
        yield Case(code, what, row, data, why, extension="pt2")
    for code, what, changes, why in (
        ("dtypeUnsupported", "exported-dtype", {"dtype": 99}, "a dtype that does not exist"),
        ("dtypeUnsupported", "exported-complex", {"dtype": 10}, "complex64"),
        ("unsupportedVariant", "exported-sparse", {"layout": 1}, "a sparse tensor"),
    ):
        yield Case(code, what, "P19", archive(**changes), why, "tensor", "pt2", "weight")
    yield Case("unsupportedVariant", "exported-symbol", "P19", archive(
        sizes=[{"as_expr": {"expr_str": "s0"}}, {"as_int": 3}]),
        "a dimension that is a symbol", "tensor", "pt2", "weight")
    yield Case("unsupportedVariant", "exported-pickle", "P19", archive({"use_pickle": True}),
               "weights in a pickle of their own", "tensor", "pt2", "weight")


def archive_config(meta, names):
    """The JSON with these names, each again, be they equal."""
    entry = json.dumps({"path_name": "weight_0", "is_param": True, "use_pickle": False,
                        "tensor_meta": meta})
    return ('{"config":{%s}}' % ",".join(f'"{name}":{entry}' for name in names)).encode()
