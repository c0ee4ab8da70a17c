"""Limit (d): consume, publish confirmed, acknowledge; no database, and nothing read of what is relayed.

As aio-pika's documentation has it: a handler a message, as many at once as are prefetched.
"""

import asyncio
import os

import aio_pika
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from tests.benchmarks.ends import open_ends

PREFETCH_MESSAGES = 300


async def main() -> None:
    """Work until killed."""
    connection = await aio_pika.connect_robust(os.environ["PAYMENT_WORKER_AMQP_URL"])
    queue, outcomes = await open_ends(connection, PREFETCH_MESSAGES)

    async def handle(message: AbstractIncomingMessage) -> None:
        async with message.process(requeue=True):
            await outcomes.publish(copy_of(message), "outcome.bench.ohispay")

    await queue.consume(handle)
    await asyncio.Event().wait()


def copy_of(message: AbstractIncomingMessage) -> aio_pika.Message:
    """Return the message to be published on."""
    return aio_pika.Message(message.body, message_id=message.message_id, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


if __name__ == "__main__":
    uvloop.run(main())
