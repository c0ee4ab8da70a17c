"""AMQP properties as JSON and back: what a dead letter keeps of them, so that its replay is the same message."""

import base64
import copy
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pamqp.commands import Basic

from worker.broker.publisher import PERSISTENT
from worker.limits import HEADER_BYTES_MAX

# Not copied on as they are: a copy would expire while it waits, and the broker refuses another user's id.
_KEPT_ASIDE = ("expiration", "user_id")
_ASIDE_PREFIX = "payment-worker-original-"
NO_MESSAGE_ID = "payment-worker-no-message-id"
"""Marks the copy of a message that has no message_id. The driver gives each message one, and a made-up id is no key."""


def copyable(properties: Basic.Properties) -> bool:
    """Say whether the properties can be published again: that they are text where they must be, and fit a frame."""
    try:
        return len(copied(properties, {}).marshal()) <= HEADER_BYTES_MAX
    except (ValueError, TypeError, OverflowError, RecursionError):
        return False


def copied(properties: Basic.Properties, headers: Mapping[str, Any]) -> Basic.Properties:
    """Return the properties for a persistent copy of the message with these headers set.

    The broker's own x-death headers are left out: seeing its own trail, it would take the copy for one that goes in
    circles, and drop it.
    """
    copied_properties = copy.copy(properties)
    aside = {_ASIDE_PREFIX + name: getattr(properties, name) for name in _KEPT_ASIDE if getattr(properties, name)}
    own = {name: _encodable(value) for name, value in (properties.headers or {}).items() if not is_brokers(name)}
    if not properties.message_id:
        own[NO_MESSAGE_ID] = True
    copied_properties.headers = own | aside | dict(headers)
    copied_properties.expiration = None
    copied_properties.user_id = None
    copied_properties.delivery_mode = PERSISTENT
    return copied_properties


def restored(properties: Basic.Properties) -> Basic.Properties:
    """Return the properties as they were before copied(), but for the headers that broker and worker added."""
    original = copy.copy(properties)
    headers = dict(properties.headers or {})
    for name in _KEPT_ASIDE:
        kept = headers.pop(_ASIDE_PREFIX + name, None)
        if isinstance(kept, str):
            setattr(original, name, kept)
    if headers.pop(NO_MESSAGE_ID, False):
        original.message_id = None
    original.headers = headers
    return original


def is_brokers(header: str) -> bool:
    """Say whether the header is the broker's note of its own doings."""
    return header.startswith(("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count"))


def to_json(properties: Basic.Properties) -> dict[str, Any]:
    """Return the properties that are set, in JSON. What JSON does not know stands as {"<type>": "<text>"}."""
    return {name: _value(value) for name, value in dict(properties).items() if value not in (None, "")}


def from_json(stored: Mapping[str, Any]) -> Basic.Properties:
    """Return the properties that to_json() told of."""
    return Basic.Properties(**{name: _unvalue(value) for name, value in stored.items()})


def _encodable(value: Any) -> Any:
    """Return the header value as the driver can encode it: bytes that are no UTF-8 only as a byte array."""
    match value:
        case bytes():
            return bytearray(value)
        case list():
            return [_encodable(each) for each in value]
        case dict():
            return {name: _encodable(each) for name, each in value.items()}
        case _:
            return value


def _value(value: Any) -> Any:
    match value:
        case bool() | int() | None:
            return value
        case float():
            return {"$float": value.hex()}
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                return {"$bytes": _base64(value.encode("utf-8", "surrogateescape"))}
            return value
        case bytes() | bytearray():
            return {"$bytes": _base64(value)}
        case datetime():
            return {"$timestamp": value.isoformat()}
        case Decimal():
            return {"$decimal": str(value)}
        case list():
            return [_value(each) for each in value]
        case dict():
            return {_key(name): _value(each) for name, each in value.items()}
        case _:
            return {"$unknown": type(value).__name__}


def _unvalue(value: Any) -> Any:
    match value:
        case {"$float": text}:
            return float.fromhex(text)
        case {"$bytes": text}:
            return bytearray(base64.b64decode(text))
        case {"$timestamp": text}:
            return datetime.fromisoformat(text)
        case {"$decimal": text}:
            return Decimal(text)
        case list():
            return [_unvalue(each) for each in value]
        case dict():
            return {name: _unvalue(each) for name, each in value.items()}
        case _:
            return value


def _key(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()
