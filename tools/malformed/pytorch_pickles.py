"""Malformed files of torch.save: what a pickle can do. Rows P1 to P10 and P19."""

import struct

from . import pickles as p
from .cases import FLOATS, Case, torch_file
from .pickles import call, dict_of, list_of, name, number, pickle, state_dict, tensor, text

MARKER = "strata-executed-a-pickle"
"""The file that a reader leaves behind which runs what it reads."""


def cases():
    """All of them."""
    return [*globals_(), *opcodes(), *types(), *programs(), *lengths(), *nesting(), *storages(),
            *strides(), *variants()]


def attribute(owner, what):
    """getattr on what the opcodes leave."""
    return call("builtins.getattr", owner, text(what))


def with_value(*opcodes, **options):
    """A file that holds a good tensor and, under "x", what the opcodes leave."""
    return torch_file(state_dict((text("x"), b"".join(opcodes))), **options)


def globals_():
    """P1: each of these would run a command, were it run."""
    command = text(f"echo ran > {MARKER}")
    for what, opcodes, why in (
        ("os-system", call("os.system", command), "os.system under REDUCE"),
        ("posix-system", call("posix.system", command), "what os.system is pickled as"),
        ("nt-system", call("nt.system", command), "the same on Windows"),
        ("subprocess-popen", call("subprocess.Popen", command), "a class that runs a program"),
        ("subprocess-check-output", call("subprocess.check_output", command), "a program"),
        ("builtins-eval", call("builtins.eval", text("1")), "eval"),
        ("builtins-exec", call("builtins.exec", text("x = 1")), "exec"),
        ("builtins-compile", call("builtins.compile", text("1"), text(""), text("eval")),
         "compile"),
        ("builtins-open", call("builtins.open", text(MARKER), text("w")), "open for writing"),
        ("builtins-getattr", call("builtins.getattr", name("torch", "Size"), text("mro")),
         "getattr, which reaches everything"),
        ("getattr-globals", attribute(attribute(name("mine", "Thing"), "__init__"), "__globals__"),
         "getattr from a class to everything that its module has imported"),
        ("getattr-system", attribute(name("torch.serialization", "os"), "system") + p.tuple_of(
            command) + p.REDUCE, "os.system, reached through a module that imports os"),
        ("getattr-class", attribute(call("mine.make", number(1)), "__class__"),
         "getattr from an object to its class"),
        ("getattr-default", call("builtins.getattr", name("mine", "Thing"), text("a"), p.NONE),
         "getattr with a default, which no pickle writes"),
        ("getattr-no-name", call("builtins.getattr", name("mine", "Thing"), number(1)),
         "getattr with a number"),
        ("builtins-import", call("builtins.__import__", text("os")), "__import__"),
        ("python-2-eval", call("__builtin__.eval", text("1")), "eval's module in Python 2"),
        ("importlib", call("importlib.import_module", text("os")), "an import"),
        ("sys-exit", call("sys.exit", number(0)), "sys"),
        ("socket", call("socket.create_connection", text("x")), "a connection"),
        ("shutil-rmtree", call("shutil.rmtree", text("/nonexistent")), "removes a tree"),
        ("runpy", call("runpy.run_path", text("x.py")), "runs a script"),
        ("pty-spawn", call("pty.spawn", text("sh")), "a shell on a terminal"),
        ("ctypes", call("ctypes.CDLL", text("libc.so.6")), "loads a library"),
        ("never-called", name("os", "system"), "the global alone, without a call"),
        ("dropped-again", name("os", "system") + b"0" + p.NONE, "a global that is popped again"),
        ("stack-global", text("os") + text("system") + b"\x93" + p.tuple_of(command) + p.REDUCE,
         "STACK_GLOBAL"),
        ("stack-global-from-memo",
         text("system") + b"q\x01" + b"0" + text("os") + b"q\x02" + b"0" + b"h\x02h\x01\x93"
         + p.tuple_of(command) + p.REDUCE, "STACK_GLOBAL on names that come from the memo"),
        ("newobj", name("os", "_wrap_close") + p.EMPTY_TUPLE + p.NEWOBJ, "NEWOBJ"),
        ("inst", p.MARK + command + b"ios\nsystem\n", "INST, which names and calls in one"),
        ("payload-before-error", call("os.system", command) + b"\xff",
         "a call before a byte that is no opcode"),
        ("submodule", call("os.path.join", text("a")), "a module below a dangerous one"),
    ):
        yield Case("forbiddenGlobal", what, "P1", with_value(opcodes), why)
    yield Case("forbiddenGlobal", "in-a-deep-list", "P1",
               with_value(list_of(list_of(dict_of((text("k"), call("os.system", command)))))),
               "os.system inside lists and dicts")
    yield Case("forbiddenGlobal", "as-a-rebuild", "P1",
               torch_file(pickle(dict_of((text("weight"), call(
                   "os.system", p.storage(), number(0)))))), "where a tensor is expected")


def opcodes():
    """P2: what no checkpoint asks for."""
    persistent = p.BINPERSID
    for what, opcodes, why in (
        ("reduce-string", text("os.system") + p.EMPTY_TUPLE + p.REDUCE, "REDUCE of a string"),
        ("reduce-dict", p.EMPTY_DICT + p.EMPTY_TUPLE + p.REDUCE, "REDUCE of a dict"),
        ("reduce-tensor", tensor() + p.EMPTY_TUPLE + p.REDUCE, "REDUCE of a tensor"),
        ("newobj-string", text("x") + p.EMPTY_TUPLE + p.NEWOBJ, "NEWOBJ of a string"),
        ("newobj-ex-number", number(1) + p.EMPTY_TUPLE + p.EMPTY_DICT + b"\x92",
         "NEWOBJ_EX of a number"),
        ("inst", p.MARK + b"imine\nThing\n", "INST"),
        ("obj", p.MARK + name("mine", "Thing") + b"o", "OBJ"),
        ("ext1", b"\x82\x01", "EXT1"),
        ("ext2", b"\x83\x01\x00", "EXT2"),
        ("ext4", b"\x84\x01\x00\x00\x00", "EXT4"),
        ("persid-text", b"Pstorage\n", "PERSID with its text"),
        ("persid-number", number(7) + persistent, "a persistent id that is a number"),
        ("persid-string", text("storage") + persistent, "a persistent id that is a string"),
        ("persid-other", p.tuple_of(text("file"), text("/etc/hostname")) + persistent,
         "a persistent id of a file"),
        ("persid-short", p.tuple_of(text("storage"), name("torch", "FloatStorage")) + persistent,
         "a persistent id of a storage without key and size"),
        ("persid-empty", p.EMPTY_TUPLE + persistent, "a persistent id that is an empty tuple"),
        ("next-buffer", b"\x97", "NEXT_BUFFER: data that stand elsewhere"),
        ("readonly-buffer", text("x") + b"\x98", "READONLY_BUFFER"),
    ):
        yield Case("forbiddenOpcode", what, "P2", with_value(opcodes), why)


def types():
    """P3: the right opcode on the wrong object."""
    one = number(1)
    for what, opcodes, why in (
        ("setitem-on-tensor", tensor() + one + one + p.SETITEM, "SETITEM on a tensor"),
        ("setitem-on-list", p.EMPTY_LIST + one + one + p.SETITEM, "SETITEM on a list"),
        ("setitem-on-number", one + one + one + p.SETITEM, "SETITEM on a number"),
        ("setitem-on-global", name("mine", "thing") + one + one + p.SETITEM,
         "SETITEM on a global"),
        ("setitems-on-tensor", tensor() + p.MARK + one + one + p.SETITEMS, "SETITEMS on a tensor"),
        ("setitems-on-storage", p.storage() + p.MARK + one + one + p.SETITEMS,
         "SETITEMS on a storage"),
        ("setitems-on-tuple", p.EMPTY_TUPLE + p.MARK + one + one + p.SETITEMS,
         "SETITEMS on a tuple"),
        ("append-on-dict", p.EMPTY_DICT + one + p.APPEND, "APPEND on a dict"),
        ("append-on-tensor", tensor() + one + p.APPEND, "APPEND on a tensor"),
        ("appends-on-tuple", p.EMPTY_TUPLE + p.MARK + one + p.APPENDS, "APPENDS on a tuple"),
        ("appends-on-string", text("x") + p.MARK + one + p.APPENDS, "APPENDS on a string"),
        ("additems-on-list", p.EMPTY_LIST + p.MARK + one + b"\x90", "ADDITEMS on a list"),
        ("build-on-string", text("x") + p.EMPTY_DICT + p.BUILD, "BUILD on a string"),
        ("list-as-key", p.EMPTY_DICT + p.EMPTY_LIST + one + p.SETITEM, "a list as a key"),
        ("stack-global-of-numbers", one + one + b"\x93", "STACK_GLOBAL of numbers"),
        ("rebuild-without-arguments", call("torch._utils._rebuild_tensor_v2"),
         "_rebuild_tensor_v2 of nothing"),
        ("rebuild-of-a-string", tensor(held=text("0")), "a tensor on a string"),
        ("rebuild-with-text", tensor(size=p.tuple_of(text("2"), text("3"))),
         "a size that holds strings"),
        ("rebuild-with-floats", tensor(size=p.tuple_of(
            *(b"G" + struct.pack(">d", x) for x in (2.0, 3.0)))), "a size that holds floats"),
        ("offset-is-none", tensor(offset=p.NONE), "an offset that is None"),
        ("numel-is-text", tensor(held=p.tuple_of(
            text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"),
            text("6")) + p.BINPERSID), "a storage whose size is a string"),
        ("key-is-a-list", tensor(held=p.tuple_of(
            text("storage"), name("torch", "FloatStorage"), p.EMPTY_LIST, text("cpu"),
            number(6)) + p.BINPERSID), "a storage whose key is a list"),
    ):
        yield Case("pickleTypeError", what, "P3", with_value(opcodes), why)


def programs():
    """P4, P7: no program that runs to its end."""
    good = state_dict()
    for what, row, pickled, why in (
        ("stack-underflow", "P4", pickle(number(1) + b"\x86"), "TUPLE2 with one object"),
        ("setitem-underflow", "P4", pickle(p.EMPTY_DICT + number(1) + p.SETITEM),
         "SETITEM without a value"),
        ("pop-of-nothing", "P4", pickle(b"0" + p.EMPTY_DICT), "POP with nothing there"),
        ("no-mark", "P4", pickle(p.EMPTY_DICT + number(1) + number(2) + p.SETITEMS),
         "SETITEMS without a MARK"),
        ("tuple-without-mark", "P4", pickle(number(1) + p.TUPLE), "TUPLE without a MARK"),
        ("pop-mark-without-mark", "P4", pickle(number(1) + b"1"), "POP_MARK without a MARK"),
        ("below-the-mark", "P4", pickle(number(1) + p.MARK + b"\x85" + p.TUPLE),
         "TUPLE1 takes what stands below a MARK"),
        ("odd-setitems", "P4", pickle(p.EMPTY_DICT + p.MARK + number(1) + p.SETITEMS),
         "SETITEMS with a key alone"),
        ("unknown-memo", "P4", pickle(b"h\x63"), "BINGET of what was never put"),
        ("unknown-long-memo", "P4", pickle(b"j\xff\xff\xff\xff"), "LONG_BINGET the same"),
        ("unknown-text-memo", "P4", pickle(b"g12\n"), "GET the same"),
        ("memo-of-nothing", "P4", pickle(b"q\x00" + p.EMPTY_DICT), "BINPUT with nothing there"),
        ("dup-of-nothing", "P4", pickle(b"2"), "DUP with nothing there"),
        ("stop-with-nothing", "P4", pickle(), "STOP with nothing there"),
        ("stop-at-a-mark", "P4", pickle(p.MARK), "STOP with a MARK alone"),
        ("unknown-opcode", "P4", pickle(b"\xff"), "a byte that is no opcode"),
        ("zeros", "P4", bytes(64), "zeros"),
        ("no-utf-8", "P4", pickle(text(b"\xff\xfe\xfa")), "BINUNICODE that is no UTF-8"),
        ("global-without-end", "P4", b"\x80\x02ctorch", "GLOBAL without line ends"),
        ("text-number", "P4", pickle(b"Itwelve\n"), "INT with a word"),
        ("text-float", "P4", pickle(b"Fhalf\n"), "FLOAT with a word"),
        ("empty-pickle", "P7", b"", "no byte"),
        ("protocol-alone", "P7", b"\x80\x02", "PROTO alone"),
        ("no-stop", "P7", good[:-1], "no STOP"),
        ("cut-in-the-middle", "P7", good[:len(good) // 2], "half of a good pickle"),
        ("cut-in-a-number", "P7", b"\x80\x02J\x01\x02", "BININT with two bytes"),
        ("payload-before-error", "P7", pickle(dict_of((text("weight"), tensor()), (
            text("x"), call("mine.run", text("x")) + b"\xff"))),
         "an unknown call before a byte that is no opcode"),
        ("protocol-9", "P4", b"\x80\x09" + good[2:], "a protocol that does not exist"),
    ):
        entries = torch_file(pickled) if pickled else empty_pickle()
        yield Case("pickleMalformed", what, row, entries, why)


def empty_pickle():
    """An archive whose data.pkl has no byte."""
    from .cases import torch_entries
    from .zips import Archive
    entries = torch_entries()
    entries[0].data = entries[0].stored = b""
    return Archive(entries).bytes()


def lengths():
    """P5: lengths that the pickle does not hold."""
    for what, opcodes, why in (
        ("long4", b"\x8b" + struct.pack("<i", 2**31 - 1), "LONG4 of 2^31 - 1 bytes"),
        ("long4-negative", b"\x8b" + struct.pack("<i", -1), "LONG4 of -1 bytes"),
        ("long1", b"\x8a\xff\x01", "LONG1 of 255 bytes in a pickle that ends"),
        ("binunicode", b"X\xff\xff\xff\xff", "BINUNICODE of 2^32 - 1 bytes"),
        ("binunicode8", b"\x8d" + struct.pack("<Q", 2**63), "BINUNICODE8 of 2^63 bytes"),
        ("binunicode8-all-ones", b"\x8d" + b"\xff" * 8, "BINUNICODE8 of 2^64 - 1 bytes"),
        ("short-binunicode", b"\x8c\xffabc", "SHORT_BINUNICODE of 255 bytes"),
        ("binbytes", b"B\xff\xff\xff\x7f", "BINBYTES of 2^31 - 1 bytes"),
        ("binbytes8", b"\x8e" + struct.pack("<Q", 2**63), "BINBYTES8 of 2^63 bytes"),
        ("short-binbytes", b"C\xff", "SHORT_BINBYTES of 255 bytes"),
        ("binstring-negative", b"T" + struct.pack("<i", -5), "BINSTRING of -5 bytes"),
        ("short-binstring", b"U\xff", "SHORT_BINSTRING of 255 bytes"),
        ("bytearray8", b"\x96" + struct.pack("<Q", 2**62), "BYTEARRAY8 of 2^62 bytes"),
        ("frame", b"\x95" + struct.pack("<Q", 2**63), "FRAME of 2^63 bytes"),
    ):
        yield Case("lengthOutOfRange", what, "P5", torch_file(pickle(opcodes)), why)


def nesting():
    """P6: more levels than any model has, or levels without end."""
    tower = b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1])
                     for n in range(60))
    deep = 20_000
    for what, opcodes, why in (
        ("list-in-itself", p.EMPTY_LIST + b"q\x00h\x00" + p.APPEND, "a list that holds itself"),
        ("dict-in-itself", p.EMPTY_DICT + b"q\x00" + text("x") + b"h\x00" + p.SETITEM,
         "a dict that holds itself"),
        ("laughs", p.EMPTY_TUPLE + b"q\x00" + tower,
         "pairs of pairs: 2^60 paths through 60 objects"),
        ("deep-lists", p.EMPTY_LIST * deep + p.APPEND * (deep - 1), "20,000 lists in each other"),
        ("deep-tuples", p.EMPTY_TUPLE + b"\x85" * deep, "20,000 tuples in each other"),
        ("deep-calls", p.EMPTY_TUPLE + (b"0" + name("mine", "f") + b"q\x00)R")
         + (b"\x85q\x01" + b"0h\x00h\x01R") * 4000, "4,000 calls in each other"),
    ):
        yield Case("nestingLimit", what, "P6", with_value(opcodes), why)
    yield Case("nestingLimit", "deep-dicts", "P6", torch_file(pickle(
        (p.EMPTY_DICT + b"K\x01") * 5000 + p.EMPTY_DICT + p.SETITEM * 5000)),
        "5,000 dicts in each other")
    yield Case("nestingLimit", "itself-in-a-module", "P6", with_value(
        name("mine", "Module") + p.EMPTY_TUPLE + p.NEWOBJ + b"q\x00"
        + dict_of((text("_modules"), dict_of((text("child"), b"h\x00")))) + p.BUILD),
        "a module that is its own child")


def storages():
    """P8: the storage is not what the pickle says."""
    for what, records, count, why in (
        ("record-too-short", {"0": FLOATS[:-4]}, 6, "20 bytes for 6 numbers"),
        ("record-too-long", {"0": FLOATS + b"\0\0\0\0"}, 6, "28 bytes for 6 numbers"),
        ("record-odd", {"0": FLOATS[:-1]}, 6, "23 bytes"),
        ("record-empty", {"0": b""}, 6, "no byte for 6 numbers"),
        ("numel-huge", {"0": FLOATS}, 2**62, "a storage of 2^62 numbers"),
        ("numel-beyond-64-bits", {"0": FLOATS}, 2**70, "a storage of 2^70 numbers"),
        ("numel-negative", {"0": FLOATS}, -6, "a storage of -6 numbers"),
    ):
        yield Case("sizeMismatch", what, "P8", torch_file(
            pickle(dict_of((text("weight"), tensor(held=p.storage(count=count))))), records), why)
    yield Case("sizeMismatch", "record-missing", "P8",
               torch_file(state_dict(), records={"1": FLOATS}), "no record data/0")
    yield Case("sizeMismatch", "two-numels", "P8", torch_file(pickle(dict_of(
        (text("weight"), tensor()),
        (text("again"), tensor(held=p.storage(count=4), size=(2, 2), stride=(2, 1)))))),
        "one record that is said to hold 6 numbers and then 4")


def strides():
    """P9, P10: tensors that leave their storage, or are larger than life."""
    big = 2**62
    for what, options, why in (
        ("offset-at-the-end", {"offset": 1}, "the last number lies behind the storage"),
        ("offset-huge", {"offset": 2**63 - 1}, "offset 2^63 - 1"),
        ("offset-beyond-64-bits", {"offset": 2**70}, "offset 2^70"),
        ("offset-negative", {"offset": -1}, "offset -1"),
        ("size-too-large", {"size": (3, 3)}, "9 numbers on a storage of 6"),
        ("stride-too-large", {"stride": (4, 1)}, "the second row ends behind the storage"),
        ("stride-negative", {"stride": (-3, 1), "offset": 3}, "a stride of -3"),
        ("stride-huge", {"stride": (big, 1)}, "a stride of 2^62"),
        ("strides-that-wrap", {"size": (5, 2), "stride": (big, 1)}, "4 x 2^62 wraps to 0"),
        ("stride-beyond-64-bits", {"stride": (2**64, 1)}, "a stride of 2^64"),
        ("size-negative", {"size": (-2, 3)}, "a dimension of -2"),
        ("fewer-strides", {"stride": (1,)}, "two dimensions, one stride"),
        ("more-strides", {"stride": (3, 1, 1)}, "two dimensions, three strides"),
    ):
        yield Case("strideOutOfRange", what, "P9",
                   torch_file(pickle(dict_of((text("weight"), tensor(**options))))), why)
    yield Case("strideOutOfRange", "empty-storage", "P9", torch_file(pickle(dict_of(
        (text("weight"), tensor(held=p.storage(count=0))))), {"0": b""}),
        "six numbers on an empty storage")
    yield Case("expansionLimit", "stride-0", "P10", torch_file(pickle(dict_of(
        (text("weight"), tensor(size=(2**40,), stride=(0,)))))), "one number, 2^40 times")
    yield Case("expansionLimit", "overlapping-strides", "P10", torch_file(pickle(dict_of(
        (text("weight"), tensor(size=(2**14, 2**14, 2**14), stride=(0, 0, 0)))))),
        "one number, 2^42 times")
    yield Case("shapeOverflow", "stride-0", "P10", torch_file(pickle(dict_of(
        (text("weight"), tensor(size=(2**40, 2**40), stride=(0, 0)))))), "one number, 2^80 times")
    yield Case("rankLimit", "300-dimensions", "P9", torch_file(pickle(dict_of(
        (text("weight"), tensor(size=(1,) * 300, stride=(1,) * 300))))), "rank 300")


def variants():
    """P19: read as far as possible; the tensor alone is refused."""
    def refused(code, what, opcodes, why, records=None):
        return Case(code, what, "P19", with_value(opcodes, records=records), why, "tensor",
                    tensor="x")
    size = p.tuple_of(number(2), number(3))
    layout = call("torch.serialization._get_layout", text("torch.sparse_coo"))
    yield refused("unsupportedVariant", "sparse-coo", call(
        "torch._utils._rebuild_sparse_tensor", layout,
        p.tuple_of(tensor(), tensor(), size)), "a sparse tensor")
    csr = call("torch.serialization._get_layout", text("torch.sparse_csr"))
    yield refused("unsupportedVariant", "sparse-csr", call(
        "torch._utils._rebuild_sparse_tensor", csr,
        p.tuple_of(tensor(), tensor(), tensor(), size)), "a sparse tensor of rows")
    yield refused("unsupportedVariant", "quantised", call(
        "torch._utils._rebuild_qtensor", p.storage("1", 6, "QInt8Storage"), number(0), size,
        p.tuple_of(number(3), number(1)),
        p.tuple_of(name("torch", "per_tensor_affine"), b"G" + struct.pack(">d", 0.5), number(0)),
        b"\x89", call("collections.OrderedDict")), "a quantised tensor",
        {"0": FLOATS, "1": bytes(6)})
    yield refused("unsupportedVariant", "dtensor", call(
        "torch.distributed.tensor.DTensor", tensor()), "a distributed tensor, as a call")
    packed = name("torch", "ScriptObject") + p.EMPTY_TUPLE + p.NEWOBJ + p.tuple_of(
        p.tuple_of(tensor(), p.NONE),
        text("__torch__.torch.classes.quantized.LinearPackedParamsBase")) + p.BUILD
    module = name("mine", "Head") + p.EMPTY_TUPLE + p.NEWOBJ + dict_of(
        (text("_parameters"), dict_of((text("weight"), tensor()))), (text("_buffers"), dict_of()),
        (text("_modules"), dict_of()), (text("_packed"), packed)) + p.BUILD
    yield Case("unsupportedVariant", "packed-attribute", "P19", torch_file(pickle(module)),
               "a module that keeps its weights in an object of torch's own", "tensor",
               tensor="_packed")
    yield refused("unsupportedVariant", "meta", call(
        "torch._utils._rebuild_meta_tensor_no_storage", name("torch", "float32"), size,
        p.tuple_of(number(3), number(1)), b"\x89"), "a tensor without data")
    for what, kind, width in (("complex", "ComplexFloatStorage", 8),
                              ("complex-double", "ComplexDoubleStorage", 16),
                              ("unknown-storage", "FunnyStorage", 4)):
        yield refused("dtypeUnsupported", what, tensor(held=p.storage("1", 6, kind)),
                      f"torch.{kind}", {"0": FLOATS, "1": bytes(6 * width)})
    untyped = p.storage("1", 6, "UntypedStorage", "torch.storage")
    for what in ("float8_e4m3fn", "float8_e5m2", "float4_e2m1fn_x2", "bits8"):
        yield refused("dtypeUnsupported", what.replace("_", "-"), call(
            "torch._utils._rebuild_tensor_v3", untyped, number(0), size,
            p.tuple_of(number(3), number(1)), b"\x89", call("collections.OrderedDict"),
            name("torch", what), p.EMPTY_DICT), f"torch.{what}", {"0": FLOATS, "1": bytes(6)})
