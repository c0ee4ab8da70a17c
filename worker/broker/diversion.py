"""Messages that leave the straight way: to the delayed retries, or to the dead letters; and how those are read.

Always in this order: publish the copy, await its confirm, and only then is the original acknowledged.
"""

import hashlib
import json
from typing import Any, Final
from uuid import uuid4

from pydantic import TypeAdapter

from schemas.catalog import DEAD_LETTER
from schemas.invalid import FieldError
from worker.broker.delivery import ATTEMPTS_HEADER, DEAD_LETTER_ID_HEADER, Delivery
from worker.broker.properties import believed, copied, copyable, is_brokers, restored, to_json
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.broker.topology import retry_name
from worker.domain.dead_letter import DeadLetter
from worker.domain.errors import DeadLetterReason, RefusedError, UnavailableError
from worker.limits import ERROR_CHARS_MAX, RETRY_TIERS_S

_REASON = "payment-worker-reason"
_ERROR = "payment-worker-error"
_ERRORS = "payment-worker-errors"
_ARRIVAL = "payment-worker-arrival"
_FIELD_ERRORS: Final = TypeAdapter(tuple[FieldError, ...])
_GIVEN_UP: Final = {
    "delivery_limit": "the broker gave up after too many deliveries without an answer",
    "expired": "the broker gave up: the time to live that it was given passed before a worker took it",
    "maxlen": "the broker gave up: its queue was full, by a limit that somebody has set on it",
}
"""Why the broker itself moves a message that no worker has rejected, by what it notes in x-death."""
_OURS = (_REASON, _ERROR, _ERRORS, _ARRIVAL, ATTEMPTS_HEADER, DEAD_LETTER_ID_HEADER)


async def dead_letter(publisher: Publisher, delivery: Delivery, refusal: RefusedError) -> bool:
    """Publish the message to the dead letters with why. False where only the broker itself can move it: reject it then.

    Raises UnavailableError where it has not been confirmed.
    """
    if not _is_copyable(delivery):
        return False
    headers = {
        _REASON: refusal.reason.value,
        _ERROR: refusal.text[:ERROR_CHARS_MAX],
        _ERRORS: json.dumps(refusal.errors),
        _ARRIVAL: str(uuid4()),
    }
    await _divert(publisher, delivery, DEAD_LETTER, headers)
    return True


async def retry_later(publisher: Publisher, delivery: Delivery) -> bool:
    """Send the message to wait for its next attempt. False where it has had them all. Raises as dead_letter() does."""
    attempts = delivery.attempts
    if attempts >= len(RETRY_TIERS_S) or not _is_copyable(delivery):
        return False
    await _divert(publisher, delivery, retry_name(RETRY_TIERS_S[attempts]), {ATTEMPTS_HEADER: attempts + 1})
    return True


def _is_copyable(delivery: Delivery) -> bool:
    """Say whether a client can publish the message again: its routing key too is whatever bytes the sender chose."""
    return delivery.routing_key.isprintable() and copyable(delivery.properties)


async def _divert(publisher: Publisher, delivery: Delivery, exchange: str, headers: dict[str, Any]) -> None:
    properties = copied(delivery.properties, headers)
    (routed,) = await publisher.publish([Publication(exchange, delivery.routing_key, delivery.body, properties)])
    if not routed:
        raise UnavailableError(f"no queue is bound to {exchange}: run `payment-worker setup`")


def read_dead_letter(delivery: Delivery) -> DeadLetter:
    """Return the dead letter that a delivery from their queue is, sent by a worker or by the broker itself."""
    headers = delivery.headers
    death = _first_death(headers)
    if death is not None:
        reason, text, errors = _by_broker(death, delivery.routing_key)
        arrival = hashlib.sha256(repr((death, delivery.routing_key, delivery.body)).encode(errors="surrogateescape"))
        arrival_name = arrival.hexdigest()
    else:
        reason, text, errors = _by_worker(headers)
        arrival_name = str(headers.get(_ARRIVAL) or uuid4())
    # What the broker itself moved here came by another exchange before.
    properties = restored(believed(delivery.properties, death.get("exchange")) if death else delivery.properties)
    if death and isinstance(death.get("original-expiration"), str):
        properties.expiration = death["original-expiration"]  # which the broker takes off
    properties.headers = {
        name: value for name, value in (properties.headers or {}).items() if name not in _OURS and not is_brokers(name)
    }
    return DeadLetter(
        reason=reason,
        text=text,
        errors=errors,
        routing_key=delivery.routing_key,
        body=delivery.body,
        properties=to_json(properties),
        arrival=arrival_name,
    )


def _first_death(headers: dict[str, Any]) -> dict[str, Any] | None:
    deaths = headers.get("x-death")
    return deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else None


def _by_broker(death: dict[str, Any], routing_key: str) -> tuple[DeadLetterReason, str, tuple[Any, ...]]:
    if given_up := _GIVEN_UP.get(str(death.get("reason"))):
        return DeadLetterReason.DELIVERY_LIMIT, given_up, ()
    if not routing_key.isprintable():
        return DeadLetterReason.UNKNOWN_COMPANY, "the routing key is not text, so it names no company", ()
    text = "its properties are not text, or larger than can be copied; or another consumer rejected it"
    return DeadLetterReason.INVALID, text, ()


def _by_worker(headers: dict[str, Any]) -> tuple[DeadLetterReason, str, tuple[Any, ...]]:
    try:
        reason = DeadLetterReason(headers[_REASON])
        return reason, str(headers[_ERROR]), _FIELD_ERRORS.validate_json(headers[_ERRORS])
    except (KeyError, ValueError, TypeError):
        return DeadLetterReason.POISON, "published to the dead letters by something other than a worker", ()
