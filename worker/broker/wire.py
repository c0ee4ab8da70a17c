"""Makes the driver's decoder tolerant: a message that it cannot decode would end the connection, again and again.

An AMQP property is bytes of the sender's choosing: a text may be no UTF-8, a timestamp may lie outside of any calendar,
a header table may hold a type that the driver does not know or be nested too deep for it. The decoder raises there, the
reader of the connection dies, the broker delivers the message again, and no worker gets past it. Such values are read
here as what they are, and the message is then refused like any other that makes no sense.
"""

import struct
from collections.abc import Callable
from typing import Any

from pamqp import decode

from schemas.limits import NESTING_LEVELS_MAX

UNREADABLE = "unreadable-headers"
"""Stands in for a header table that cannot be decoded; its value is the table's bytes."""

Decoder = Callable[[bytes], tuple[int, Any]]


def tolerate() -> None:
    """Put tolerant decoders into the driver's tables. May be called any number of times."""
    decode.METHODS["shortstr"] = _short_str
    decode.METHODS["table"] = _table
    for decoders, name in ((decode.METHODS, "timestamp"), (decode.TABLE_MAPPING, b"T")):
        decoders[name] = _timestamp  # type: ignore[index]


def _short_str(value: bytes) -> tuple[int, str]:
    length = value[0]
    return length + 1, value[1 : length + 1].decode("utf-8", "surrogateescape")


def _timestamp(value: bytes) -> tuple[int, Any]:
    try:
        return decode.timestamp(value)
    except (ValueError, OverflowError, OSError):
        return 8, int.from_bytes(value[:8], "big")


def _table(value: bytes) -> tuple[int, Any]:
    try:
        length, table = decode.field_table(value)
        if not _deeper_than(table, NESTING_LEVELS_MAX):
            return length, table
    except (ValueError, OverflowError, RecursionError, IndexError, struct.error):
        pass
    length = int.from_bytes(value[:4], "big")
    return length + 4, {UNREADABLE: value[4 : length + 4]}


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(each, levels - 1) for each in inner)
