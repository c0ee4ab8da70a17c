"""Exchanges and queues (contract, section 1), declared in one place."""

from typing import Any, Final

import aiormq
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection

from schemas.catalog import DEAD_LETTER, DEAD_LETTERS_QUEUE, INVOICES_QUEUE, OUTCOMES, PAYMENTS, REGISTRATIONS_QUEUE
from worker.broker.connection import brief_channel
from worker.domain.errors import PermanentError
from worker.limits import BROKER_DELIVERY_LIMIT, RETRY_TIERS_S

RETRY_RETURN: Final = "payments.retry.return"
"""Where retry queues send what has waited, and ops what is replayed: on to the queue that it came from, under its own
routing key.

It is not `payments` itself, so that a copy reaches no other queue that somebody has bound there.
"""
BINDINGS: Final = {REGISTRATIONS_QUEUE: "registration.*", INVOICES_QUEUE: "invoice.*"}


def retry_name(delay_s: int) -> str:
    """Return the name of a retry tier's exchange and queue."""
    return f"payments.retry.{delay_s}s"


CONSUMED: Final = (*BINDINGS, DEAD_LETTERS_QUEUE)
"""The queues that a worker takes from."""
QUEUES: Final = (*CONSUMED, *map(retry_name, RETRY_TIERS_S))
"""All of the worker's own."""


async def declare(connection: AbstractConnection) -> None:
    """Declare everything. Safe to repeat. Raises PermanentError where something exists with other arguments."""
    try:
        async with brief_channel(connection) as channel:
            await _declare(channel)
    except aiormq.exceptions.ChannelPreconditionFailed as error:
        raise PermanentError(
            f"the broker holds other declarations: {error}. Delete or rename what stands there"
        ) from error


async def _declare(channel: AbstractChannel) -> None:
    payments = await channel.declare_exchange(PAYMENTS, ExchangeType.TOPIC, durable=True)
    await channel.declare_exchange(OUTCOMES, ExchangeType.TOPIC, durable=True)
    dead_letter = await channel.declare_exchange(DEAD_LETTER, ExchangeType.TOPIC, durable=True)
    dead_letters = await channel.declare_queue(DEAD_LETTERS_QUEUE, durable=True, arguments=quorum())
    await dead_letters.bind(dead_letter, "#")
    retry_return = await channel.declare_exchange(RETRY_RETURN, ExchangeType.TOPIC, durable=True)
    for name, pattern in BINDINGS.items():
        queue = await channel.declare_queue(name, durable=True, arguments=quorum(dead_letter_to=DEAD_LETTER))
        await queue.bind(payments, pattern)
        await queue.bind(retry_return, pattern)
    for delay_s in RETRY_TIERS_S:
        tier = await channel.declare_exchange(retry_name(delay_s), ExchangeType.FANOUT, durable=True)
        arguments = quorum(dead_letter_to=RETRY_RETURN) | {"x-message-ttl": delay_s * 1000}
        waiting = await channel.declare_queue(retry_name(delay_s), durable=True, arguments=arguments)
        await waiting.bind(tier)


def quorum(dead_letter_to: str | None = None) -> dict[str, Any]:
    """Return the arguments of a quorum queue that loses nothing on its way to the next exchange."""
    arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": BROKER_DELIVERY_LIMIT}
    if dead_letter_to is not None:
        arguments |= {
            "x-dead-letter-exchange": dead_letter_to,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    return arguments
