"""Peer (b): plain aio-pika and asyncpg, one message at a time with prefetch and a pool."""

import asyncio
import json
import os

import aio_pika
import asyncpg
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from tests.benchmarks.ends import open_ends
from tests.benchmarks.peers.asynchronous import POOL_CONNECTIONS, register

PREFETCH_MESSAGES = 100


async def main() -> None:
    """Work until killed."""
    pool = await asyncpg.create_pool(
        os.environ["PAYMENT_WORKER_DATABASE_URL"], min_size=POOL_CONNECTIONS, max_size=POOL_CONNECTIONS
    )
    connection = await aio_pika.connect_robust(os.environ["PAYMENT_WORKER_AMQP_URL"])
    queue, outcomes = await open_ends(connection, PREFETCH_MESSAGES)

    async def handle(message: AbstractIncomingMessage) -> None:
        async with message.process(requeue=True):
            company = (message.routing_key or "").partition(".")[2]
            text = await register(pool, company, message.message_id or "", json.loads(message.body))
            event = aio_pika.Message(text.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await outcomes.publish(event, f"outcome.{company}.ohispay")

    await queue.consume(handle)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
