"""The frames of AMQP 0-9-1 that there are many of, as bytes: those of a publish, a delivery and their answers."""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.broker.link import BODY, FRAME, FRAME_END, HEADER, METHOD
from worker.limits import ROUTES_KEPT

PUBLISH, RETURN, DELIVER, ACK, REJECT, NACK = (60 << 16 | method for method in (40, 50, 60, 80, 90, 120))
"""Class and method of Basic, as the first four bytes of a method frame's payload."""
UNREADABLE: Final = "unreadable-properties"
"""A header that stands in for properties that cannot be decoded; its value is their bytes."""

_METHOD: Final = struct.Struct(">I")
_TAG: Final = struct.Struct(">Q")
_ANSWER: Final = struct.Struct(">IQB")
_REPLY_CODE: Final = struct.Struct(">H")
_CONTENT: Final = struct.Struct(">HHQ")
_MANDATORY: Final = b"\x01"
_RESERVED: Final = b"\x00\x00"


class Deliver(NamedTuple):
    """The method of a delivery."""

    tag: int
    exchange: str
    routing_key: str
    is_redelivered: bool


class Return(NamedTuple):
    """The method of a message that comes back, since no queue took it."""

    exchange: str
    routing_key: str


class Answer(NamedTuple):
    """The broker's word on what was published: on one tag, or on all up to it."""

    tag: int
    is_multiple: bool


class Content:
    """A message that comes in frames: its method, its header, and the parts of its body."""

    def __init__(self, method: Deliver | Return) -> None:
        self.method = method
        self.header = b""
        self.body = b""
        self._parts: list[bytes] = []
        self._missing_bytes = -1

    @property
    def is_whole(self) -> bool:
        """True once its last part has come."""
        return self._missing_bytes == 0

    def begin(self, header: bytes) -> None:
        """Take the payload of its header."""
        self.header = header
        self._missing_bytes = body_bytes(header)

    def add(self, part: bytes) -> None:
        """Take the payload of the next frame of its body."""
        self._missing_bytes -= len(part)
        self._parts.append(part)
        if self.is_whole:
            self.body = part if len(self._parts) == 1 else b"".join(self._parts)


def method_of(payload: bytes) -> int:
    """Return class and method of a method frame."""
    method: int = _METHOD.unpack_from(payload)[0]
    return method


def read_deliver(payload: bytes) -> Deliver:
    """Return what a Basic.Deliver says."""
    position = _after_short_string(payload, _METHOD.size)
    (tag,) = _TAG.unpack_from(payload, position)
    position += _TAG.size
    is_redelivered = payload[position] == 1
    position += 1
    return Deliver(tag, *_address(payload, position), is_redelivered)


def read_return(payload: bytes) -> Return:
    """Return what a Basic.Return says of where the message was to go."""
    reply_text = _METHOD.size + _REPLY_CODE.size
    return Return(*_address(payload, _after_short_string(payload, reply_text)))


def read_answer(payload: bytes) -> Answer:
    """Return what a Basic.Ack or Basic.Nack says."""
    _, tag, flags = _ANSWER.unpack_from(payload)
    return Answer(tag, bool(flags & 1))


def body_bytes(header: bytes) -> int:
    """Return how long the body is that a content header announces."""
    length: int = _CONTENT.unpack_from(header)[2]
    return length


def read_properties(header: bytes) -> Basic.Properties:
    """Return a content header's properties; what is no AMQP at all stands in one header, and ends no connection."""
    content = ContentHeader()
    try:
        content.unmarshal(header)
    except Exception:  # noqa: BLE001 (whatever a sender has brought past the broker, it is one message's)
        return Basic.Properties(headers={UNREADABLE: bytearray(header[_CONTENT.size :])})
    return content.properties


def published(channel: int, exchange: str, routing_key: str, properties: bytes, body: bytes, frame_max: int) -> bytes:
    """Return the frames of a publish that is mandatory. Raises ValueError for a name that no frame holds."""
    header = _CONTENT.pack(PUBLISH >> 16, 0, len(body)) + properties
    frames = [_publish(channel, exchange, routing_key), _frame(HEADER, channel, header)]
    frames += (_frame(BODY, channel, part) for part in _parts(body, frame_max - FRAME.size - len(FRAME_END)))
    return b"".join(frames)


def acknowledged(channel: int, tag: int) -> bytes:
    """Return the frame that acknowledges the tag and all before it."""
    return _frame(METHOD, channel, _ANSWER.pack(ACK, tag, 1))


def rejected(channel: int, tag: int) -> bytes:
    """Return the frame that has the broker dead-letter what came under the tag."""
    return _frame(METHOD, channel, _ANSWER.pack(REJECT, tag, 0))


def short_string(text: str) -> bytes:
    """Return the text as AMQP has a short one. Raises ValueError for more than 255 bytes."""
    encoded = text.encode()
    return bytes((len(encoded),)) + encoded


@lru_cache(ROUTES_KEPT)
def _publish(channel: int, exchange: str, routing_key: str) -> bytes:
    names = _RESERVED + short_string(exchange) + short_string(routing_key)
    return _frame(METHOD, channel, _METHOD.pack(PUBLISH) + names + _MANDATORY)


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return FRAME.pack(kind, channel, len(payload)) + payload + FRAME_END


def _parts(body: bytes, length: int) -> Iterator[bytes]:
    return (body[start : start + length] for start in range(0, len(body), length))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _address(payload: bytes, position: int) -> tuple[str, str]:
    """Return the exchange and the routing key that stand there."""
    after = _after_short_string(payload, position)
    exchange, routing_key = payload[position + 1 : after], payload[after + 1 : _after_short_string(payload, after)]
    return _text(exchange), _text(routing_key)


def _after_short_string(payload: bytes, position: int) -> int:
    return position + 1 + payload[position]
