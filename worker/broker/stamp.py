"""Properties of messages of one kind: what all of a kind share is encoded once. The driver takes long for each."""

import struct
from collections.abc import Mapping
from typing import Final

from pamqp import encode
from pamqp.commands import Basic

from schemas.value import Value
from worker.broker.frames import short_string

_FLAGS: Final = struct.Struct(">H")
_LENGTH: Final = struct.Struct(">I")
_BITS: Final = Basic.Properties.flags


class Stamp:
    """What the messages of a kind share: content type, delivery mode, type and some headers."""

    def __init__(
        self, content_type: str, delivery_mode: int, message_type: str, headers: Mapping[str, str | int | bool]
    ) -> None:
        self.flags = sum(_BITS[n] for n in ("content_type", "headers", "delivery_mode", "message_id", "message_type"))
        self.content_type = short_string(content_type)
        self.headers = b"".join(
            short_string(name) + encode.encode_table_value(value) for name, value in headers.items()
        )
        self.delivery_mode = bytes((delivery_mode,))
        self.message_type = short_string(message_type)


class Stamped(Value, frozen=True):
    """Properties of one message: a stamp, and what the message has for itself."""

    stamp: Stamp
    message_id: str
    correlation_id: str | None
    headers: Mapping[str, str]

    def marshal(self) -> bytes:
        """Return them as a content header has them. Raises ValueError for a text that none holds."""
        stamp, flags, correlation_id = self.stamp, self.stamp.flags, b""
        if self.correlation_id:
            flags |= _BITS["correlation_id"]
            correlation_id = short_string(self.correlation_id)
        table = stamp.headers
        for name, value in self.headers.items():
            text = value.encode()
            table += short_string(name) + b"S" + _LENGTH.pack(len(text)) + text
        before = _FLAGS.pack(flags) + stamp.content_type + _LENGTH.pack(len(table)) + table + stamp.delivery_mode
        return before + correlation_id + short_string(self.message_id) + stamp.message_type
