"""A connection to RabbitMQ. One that breaks is not mended: a new one is made, and nothing of the old is used on."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from yarl import URL

from worker.broker import wire
from worker.domain.errors import LinkLostError
from worker.limits import CONNECT_TIMEOUT_S, HEARTBEAT_S

WireChannel = aiormq.Channel
"""The driver's channel below aio-pika's: it gives deliveries and confirms without a wrapper for each."""


async def connect(url: str, name: str) -> AbstractConnection:
    """Return an open connection that shows under the name in the broker's management. Raises LinkLostError."""
    wire.tolerate()
    try:
        address = URL(url)
    except ValueError:
        raise LinkLostError("connecting to RabbitMQ: its URL makes no sense") from None
    if "heartbeat" not in address.query:
        address = address.update_query(heartbeat=HEARTBEAT_S)
    with link_errors(f"connecting to RabbitMQ at {address.host}:{address.port}"):
        return await aio_pika.connect(address, timeout=CONNECT_TIMEOUT_S, client_properties={"connection_name": name})


async def open_channel(connection: AbstractConnection) -> WireChannel:
    """Return a channel with publisher confirms, on which an unroutable publish raises. Raises LinkLostError."""
    with link_errors("opening a channel"):
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            return cast("WireChannel", await channel.get_underlay_channel())


@contextmanager
def link_errors(doing: str) -> Iterator[None]:
    """Turn whatever the driver raises when a connection or channel ends into LinkLostError.

    That includes a CancelledError that nobody sent us: the driver cancels what still waits on a channel that closes.
    """
    try:
        yield
    except (aiormq.AMQPError, aiormq.exceptions.ChannelInvalidStateError, OSError, TimeoutError) as error:
        raise LinkLostError(f"{doing}: {' '.join(str(error).split()) or type(error).__name__}") from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LinkLostError(f"{doing}: the connection was closed") from None
