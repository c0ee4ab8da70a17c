"""What a source system is to the worker. A fifth source is a file beside ropo.py and its name in __init__.py."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.fields import WireModel
from schemas.outcome import Outcome
from schemas.registration import Cancellation, Defaults, Registration

ResponseValue = str | int | bool | Decimal | None | Mapping[str, Any] | Sequence[Any]
"""What a native response may hold. Amounts are Decimals and become JSON numbers with just their digits."""


@dataclass(frozen=True, slots=True)
class Source:
    """One message type: how it is read, what it means, and how it is answered."""

    message_type: str
    model: type[WireModel]
    key_field: str | None
    """The field that holds the idempotency key in the source's own body, if it has one."""
    meaning: Callable[[Any, Defaults], Registration | Cancellation]
    """(message, what stands in for what it leaves out) → what it asks for. Raises InvalidMessageError where an amount
    does not fit its currency."""
    response: Callable[[Outcome, Any | None], dict[str, ResponseValue]]
    """(outcome, message) → the outcome in the source's own shape; the message is None where it was invalid."""
    secret_fields: frozenset[str] = frozenset()
    """Fields of the body that are never stored or logged."""


def without_secrets(body: bytes, source: Source) -> bytes:
    """Return the body with the values of the source's secret fields blanked, and byte for byte otherwise.

    Works on a body that is no JSON too: there a value that does not end is blanked to the end of the body.
    """
    for name in source.secret_fields:
        kept, end = [], 0
        for field in _field(name).finditer(body):
            if field.start() >= end:
                kept += [body[end : field.end()], b'""']
                end = _value_end(body, field.end())
        body = b"".join((*kept, body[end:]))
    return body


_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{\]},]|[^\s"\[{\]},]++', re.DOTALL)
"""A string, even one that does not end; a bracket or comma; a number or a word. Possessive: a match gives nothing back,
so that a long body costs no memory."""


def _field(name: str) -> re.Pattern[bytes]:
    """Return what finds a field and the colon after it, however much of its name is spelled with escapes."""
    letters = "".join(rf"(?:{re.escape(letter)}|\\u(?i:{ord(letter):04x}))" for letter in name)
    return re.compile(rf'"{letters}"\s*:\s*'.encode())


def _value_end(body: bytes, start: int) -> int:
    """Return where the value that begins there ends: an object or a list with its last bracket."""
    level = 0
    for token in _TOKEN.finditer(body, start):
        if token[0] in (b"]", b"}", b","):
            if level == 0:
                return token.start()
            level -= token[0] != b","
        elif token[0] in (b"[", b"{"):
            level += 1
        if level == 0:
            return token.end()
    return len(body)
