"""AMQP properties as they stand in a frame."""

import struct

from pamqp.commands import Basic
from pamqp.header import ContentHeader

TEXTS = (15, 14, 10, 9, 8, 7, 5, 4, 3, 2)
"""Bits of the flags whose property is a short string, in their order on the wire; 13, 12, 11 and 6 are told below."""
HEADERS, DELIVERY_MODE, PRIORITY, TIMESTAMP = 13, 12, 11, 6
LENGTHS = {DELIVERY_MODE: 1, PRIORITY: 1, TIMESTAMP: 8}


def is_framed(data: bytes) -> bool:
    """Say whether a broker would hand these properties out: each within its length, and no more after them.

    What stands inside of the header table is not looked at.
    """
    if len(data) < 2 or data[1] & 3:
        return False
    flags, at = int.from_bytes(data[:2], "big"), 2
    for bit in range(15, 1, -1):
        if not flags & 1 << bit:
            continue
        if bit == HEADERS:
            at += 4 + int.from_bytes(data[at : at + 4], "big")
        else:
            at += LENGTHS[bit] if bit in LENGTHS else 1 + int.from_bytes(data[at : at + 1], "big")
        if at > len(data):
            return False
    return at == len(data)


def unmarshalled(data: bytes) -> Basic.Properties:
    """Return the properties as the driver reads them from a content header's frame."""
    header = ContentHeader()
    header.unmarshal(struct.pack(">HxxQ", Basic.frame_id, 0) + data)
    return header.properties


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def table(*fields: bytes) -> bytes:
    joined = b"".join(fields)
    return struct.pack(">I", len(joined)) + joined
