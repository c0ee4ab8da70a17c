"""AMQP properties as JSON and back: what a dead letter keeps of them, so that its replay is the same message."""

import base64
import copy
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pamqp.commands import Basic

from schemas.catalog import DEAD_LETTER
from worker.broker.topology import RETRY_RETURN
from worker.limits import HEADER_BYTES_MAX, HEADER_NAME_BYTES_MAX

PERSISTENT = 2
"""The delivery mode of what must survive the broker's end."""

# Not copied on as they are: a copy would expire while it waits, and the broker refuses another user's id.
_KEPT_ASIDE = ("expiration", "user_id")
_DELIVERY_MODE = "delivery_mode"
"""Kept aside as well where a copy, which is persistent, has another one."""
_ASIDE_PREFIX = "payment-worker-original-"
_COPIES_FROM = (RETRY_RETURN, DEAD_LETTER)
"""The exchanges by which copies come, where nobody but workers and ops may publish."""
_ESCAPE = "$$"
"""Before a header's own name that begins with "$", so that it is not taken for the name of a type."""
NO_MESSAGE_ID = "payment-worker-no-message-id"
"""Marks the copy of a message that has no message_id: aio-pika gives each message one, and a made-up id is no key."""


def copyable(properties: Basic.Properties) -> bool:
    """Say whether the properties can be published again, just as they are: text where they must be, and in a frame."""
    try:
        if any(len(name.encode()) > HEADER_NAME_BYTES_MAX for name in _names(properties.headers)):
            return False
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
    if properties.delivery_mode != PERSISTENT:
        aside[_ASIDE_PREFIX + _DELIVERY_MODE] = properties.delivery_mode
    own = {name: _encodable(value) for name, value in (properties.headers or {}).items() if not is_brokers(name)}
    if not properties.message_id:
        own[NO_MESSAGE_ID] = True
    copied_properties.headers = own | aside | dict(headers)
    copied_properties.expiration = None
    copied_properties.user_id = None
    copied_properties.delivery_mode = PERSISTENT
    return copied_properties


def believed(properties: Basic.Properties, exchange: str | None) -> Basic.Properties:
    """Return the properties of a message that came by the exchange, without what anyone may have made up.

    What was kept aside is believed only where workers and ops alone publish; elsewhere a sender could pass for another.
    """
    headers = properties.headers
    if not headers or exchange in _COPIES_FROM or not any(name.startswith(_ASIDE_PREFIX) for name in headers):
        return properties
    without = copy.copy(properties)
    without.headers = {name: value for name, value in headers.items() if not name.startswith(_ASIDE_PREFIX)}
    return without


def sender(properties: Basic.Properties) -> str | None:
    """Return the user who sent the message, or the one that it is a copy of; None where the sender named none."""
    kept = (properties.headers or {}).get(_ASIDE_PREFIX + "user_id")
    return properties.user_id or (kept if isinstance(kept, str) else None)


def restored(properties: Basic.Properties) -> Basic.Properties:
    """Return the properties as they were before copied(), but for the headers that broker and worker added."""
    original = copy.copy(properties)
    headers = dict(properties.headers or {})
    for name in _KEPT_ASIDE:
        kept = headers.pop(_ASIDE_PREFIX + name, None)
        if isinstance(kept, str) and not getattr(original, name):
            setattr(original, name, kept)
    mode = headers.pop(_ASIDE_PREFIX + _DELIVERY_MODE, PERSISTENT)
    if original.delivery_mode == PERSISTENT and (mode is None or isinstance(mode, int)):
        original.delivery_mode = mode
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
    properties = Basic.Properties()
    for name, value in stored.items():
        # Set one by one: the constructor refuses what a broker lets through, such as a delivery_mode of 0.
        setattr(properties, name, _unvalue(value))
    return properties


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
            return {name.removeprefix(_ESCAPE): _unvalue(each) for name, each in value.items()}
        case _:
            return value


def _key(name: str) -> str:
    return _ESCAPE + name if name.startswith("$") else name


def _names(value: Any) -> Iterator[str]:
    """Yield the names in a header table and in those inside of it."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(each)
    if isinstance(value, dict):
        yield from value


def _base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()
