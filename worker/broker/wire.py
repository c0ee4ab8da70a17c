"""Makes the driver's decoder tolerant: a message that it cannot decode would end the connection, again and again.

An AMQP property is bytes of the sender's choosing: a text may be no UTF-8, a timestamp may lie outside of any calendar,
a header table may hold a type that the driver does not know or be nested too deep for it. The decoder raises there, the
reader of the connection dies, the broker delivers the message again, and no worker gets past it. Such values are read
here as what they are, and the message is then refused like any other that makes no sense.

And it makes the driver's encoder exact, so that a copy says just what the message said: the driver cuts a time in
milliseconds to whole seconds, and a double to a float.
"""

import struct
from typing import Any

from pamqp import common, decode, encode

from schemas.limits import NESTING_LEVELS_MAX

UNREADABLE = "unreadable-headers"
"""Stands in for a header table that cannot be decoded; its value is the table's bytes."""

_SECONDS_MAX = 2**32 - 1
"""Of a timestamp, until 2106. The driver takes what is more for milliseconds, or fails; here it stays the number."""
_driver_timestamp = encode.timestamp
_driver_value = encode.encode_table_value


def tolerate() -> None:
    """Put tolerant decoders and exact encoders into the driver. May be called any number of times."""
    decode.METHODS["shortstr"] = _short_str
    decode.METHODS["table"] = _table
    for decoders, name in ((decode.METHODS, "timestamp"), (decode.TABLE_MAPPING, b"T")):
        decoders[name] = _timestamp  # type: ignore[index]
    encode.METHODS["timestamp"] = _timestamp_bytes
    encode.encode_table_value = _value_bytes


def _short_str(value: bytes) -> tuple[int, str]:
    length = value[0]
    return length + 1, value[1 : length + 1].decode("utf-8", "surrogateescape")


def _timestamp(value: bytes) -> tuple[int, Any]:
    seconds = int.from_bytes(value[:8], "big")
    return decode.timestamp(value) if seconds <= _SECONDS_MAX else (8, seconds)


def _timestamp_bytes(value: Any) -> bytes:
    return common.Struct.timestamp.pack(value) if isinstance(value, int) else _driver_timestamp(value)


def _value_bytes(value: Any) -> bytes:
    return b"d" + encode.double(value) if isinstance(value, float) else _driver_value(value)


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
