"""Pickles put together opcode by opcode, in the shape that torch.save gives them."""

import struct

MARK, STOP, EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE = b"(", b".", b"}", b"]", b")"
REDUCE, BUILD, NEWOBJ, TUPLE, BINPERSID = b"R", b"b", b"\x81", b"t", b"Q"
SETITEM, SETITEMS, APPEND, APPENDS, NONE = b"s", b"u", b"a", b"e", b"N"


def text(value):
    """BINUNICODE."""
    data = value if isinstance(value, bytes) else value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    """An integer, as Python 3 writes it with protocol 2."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if 0 <= value < 65536:
        return b"M" + struct.pack("<H", value)
    if -2**31 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tuple_of(*items):
    """A tuple of what the opcodes in `items` leave."""
    return MARK + b"".join(items) + TUPLE


def list_of(*items):
    return EMPTY_LIST + MARK + b"".join(items) + APPENDS


def dict_of(*pairs):
    return EMPTY_DICT + MARK + b"".join(key + value for key, value in pairs) + SETITEMS


def name(module, attribute):
    """GLOBAL."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def call(function, *arguments):
    """GLOBAL, arguments, REDUCE; `function` is "module.attribute" or opcodes."""
    if isinstance(function, str):
        function = name(*function.rsplit(".", 1))
    return function + tuple_of(*arguments) + REDUCE


def ordered_dict(*pairs):
    return call("collections.OrderedDict") + MARK + b"".join(
        key + value for key, value in pairs) + SETITEMS


def storage(key="0", count=6, kind="FloatStorage", module="torch"):
    """The persistent id of a storage."""
    return tuple_of(text("storage"), name(module, kind), text(key), text("cpu"),
                    number(count)) + BINPERSID


def tensor(held=None, offset=0, size=(2, 3), stride=(3, 1), function="_rebuild_tensor_v2"):
    """A tensor on a storage."""
    def numbers(values):
        return values if isinstance(values, bytes) else tuple_of(*map(number, values))
    return call(f"torch._utils.{function}", storage() if held is None else held,
                offset if isinstance(offset, bytes) else number(offset), numbers(size),
                numbers(stride), b"\x89", call("collections.OrderedDict"))


def pickle(*opcodes, protocol=2):
    """A whole pickle."""
    return b"\x80" + bytes([protocol]) + b"".join(opcodes) + STOP


def state_dict(*extra, **tensors):
    """The pickle of {"weight": a good tensor, …}; `extra` are pairs of opcodes."""
    pairs = [(text(key), value) for key, value in tensors.items()]
    return pickle(dict_of((text("weight"), tensor()), *pairs, *extra))
