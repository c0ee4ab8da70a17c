"""AMQP properties as a target: what is read of them, what a copy keeps, and what a dead letter of them brings back."""

import copy
import json
from contextlib import suppress
from typing import Any

from schemas.codec import read_json
from schemas.fields import storable
from tests.builders import TODAY, a_policy
from tests.fuzz.wire import is_framed, unmarshalled
from worker.broker import wire
from worker.broker.delivery import Delivery
from worker.broker.diversion import read_dead_letter
from worker.broker.properties import copied, copyable, from_json, is_brokers, restored
from worker.domain.errors import RefusedError
from worker.domain.request import read_request

BODY = b'{"amount": 1, "paydate": "2017-10-10", "billcode": "1234567"}'


def properties(data: bytes) -> None:
    """What a broker hands out is read, refused or answered; its copy, its dead letter and its replay say the same."""
    if not is_framed(data):
        return
    wire.tolerate()
    given = unmarshalled(data)
    delivery = Delivery(1, "registration.acme", BODY, given)
    assert min(delivery.redeliveries, delivery.attempts) >= 0
    with suppress(RefusedError):
        request = read_request(delivery.message(), a_policy(), TODAY)
        storable(request.key + "".join(filter(None, _carried(request.return_address))))
    if copyable(given):
        again = restored(unmarshalled(copied(given, {"added": 1}).marshal()))
        assert (again.headers or {}).pop("added") == 1
        assert _plain(again) == _plain(restored(given))
        assert copyable(again)
    letter = read_dead_letter(delivery).without_secrets()
    assert isinstance(letter.identity, bytes)
    storable((letter.idempotency_key or "") + (letter.type or ""))
    kept = read_json(json.dumps({"errors": letter.errors, "properties": letter.properties}).encode())
    assert isinstance(kept, dict)
    assert all(isinstance(each, dict) and {*each} == {"field", "message"} for each in kept["errors"])
    senders = copy.copy(given)
    senders.headers = {
        name: each for name, each in (given.headers or {}).items() if not name.startswith("payment-worker-")
    }
    letter = read_dead_letter(Delivery(1, "registration.acme", BODY, senders))
    assert _plain(from_json(json.loads(json.dumps(letter.properties)))) == _plain(senders)


def _carried(address: Any) -> list[str | None]:
    return [address.correlation_id, address.reply_to, address.traceparent, address.tracestate]


def _plain(properties: Any) -> dict[str, Any]:
    """Return the properties to be compared: without what every copy has anew, and with one kind of bytes."""
    said = {name: _comparable(value) for name, value in properties if value not in (None, "", {})}
    said.pop("delivery_mode", None)
    headers = said.get("headers") or {}
    said["headers"] = {name: each for name, each in headers.items() if not is_brokers(name)}
    return said


def _comparable(value: Any) -> Any:
    match value:
        case bytes() | bytearray():
            return bytes(value)
        case float():
            return value.hex()
        case list():
            return [_comparable(each) for each in value]
        case dict():
            return {name: _comparable(each) for name, each in value.items()}
        case str():
            return value.encode(errors="surrogateescape")
        case _:
            return value
