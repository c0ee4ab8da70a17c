"""Limit (d): consume, publish confirmed, acknowledge; no database, and nothing read of what is relayed."""

import asyncio
import os

import aio_pika
import uvloop
from aio_pika.abc import AbstractIncomingMessage

PREFETCH_MESSAGES = 500
WINDOW_MESSAGES = 200


async def main() -> None:
    """Work until killed: in windows, each confirmed together and then acknowledged together."""
    connection = await aio_pika.connect(os.environ["PAYMENT_WORKER_AMQP_URL"])
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH_MESSAGES)
    outcomes = await channel.get_exchange("payments.outcomes", ensure=False)
    queue = await channel.get_queue("payments.registrations", ensure=False)
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await queue.consume(arrived.put)
    while True:
        window = [await arrived.get()]
        while len(window) < WINDOW_MESSAGES and not arrived.empty():
            window.append(arrived.get_nowait())
        await asyncio.gather(*(outcomes.publish(copy_of(message), "outcome.bench.ohispay") for message in window))
        await window[-1].ack(multiple=True)


def copy_of(message: AbstractIncomingMessage) -> aio_pika.Message:
    """Return the message to be published on."""
    return aio_pika.Message(message.body, message_id=message.message_id, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


if __name__ == "__main__":
    uvloop.run(main())
