"""RabbitMQ as a command reaches it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aio_pika.abc import AbstractConnection

from worker.broker.connection import close, connect
from worker.broker.publisher import Publisher
from worker.cli.servers import read_url


@asynccontextmanager
async def broker(command: str) -> AsyncIterator[AbstractConnection]:
    """Give the block a connection, which shows under the command's name in the broker's management."""
    for name in ("aio_pika", "aiormq"):
        # The driver logs what it raises as well; it is told once.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    connection = await connect(read_url("amqp_url"), f"payment-worker {command}")
    try:
        yield connection
    finally:
        await close(connection)


@asynccontextmanager
async def publisher(command: str) -> AsyncIterator[Publisher]:
    """Give the block a publisher on a connection of its own."""
    async with broker(command) as connection:
        yield Publisher(connection)
