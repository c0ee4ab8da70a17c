"""The bare relay with what makes the worker quick: windows, confirmed together and then acknowledged together."""

import asyncio
import os

import aio_pika
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from tests.benchmarks.ends import open_ends
from tests.benchmarks.limits.bare_relay import copy_of

PREFETCH_MESSAGES = 500
WINDOW_MESSAGES = 200


async def main() -> None:
    """Work until killed."""
    connection = await aio_pika.connect(os.environ["PAYMENT_WORKER_AMQP_URL"])
    queue, outcomes = await open_ends(connection, PREFETCH_MESSAGES)
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await queue.consume(arrived.put)
    while True:
        window = [await arrived.get()]
        while len(window) < WINDOW_MESSAGES and not arrived.empty():
            window.append(arrived.get_nowait())
        await asyncio.gather(*(outcomes.publish(copy_of(message), "outcome.bench.ohispay") for message in window))
        await window[-1].ack(multiple=True)


if __name__ == "__main__":
    uvloop.run(main())
