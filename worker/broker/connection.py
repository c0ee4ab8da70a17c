"""A connection to RabbitMQ. One that breaks is not mended: a new one is made, and nothing of the old is used on."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.connection import DEFAULT_PORTS
from pamqp.common import FieldTable
from yarl import URL

from worker.broker import wire
from worker.broker.link import Link
from worker.broker.tls import handshake_error, tls_context
from worker.domain.errors import LinkLostError
from worker.limits import CLOSE_TIMEOUT_S, CONNECT_TIMEOUT_S, HEARTBEAT_S

_ENDS = (aiormq.AMQPError, aiormq.exceptions.ChannelInvalidStateError, OSError, TimeoutError, StopAsyncIteration)


_NO_GREETING = "Expected Connection.Start"
"""How the driver puts that what answered is no RabbitMQ, or one that waits for TLS."""


def nodes_of(url: str) -> list[str]:
    """Return the URL of each node: of a cluster there may be several, separated by commas."""
    return re.split(r",\s*(?=amqps?://)", url)


async def connect(url: str, name: str) -> AbstractConnection:
    """Return an open connection that shows under the name in the broker's management.

    Of several nodes the first that answers is taken, beginning at any of them. Raises LinkLostError, which tells why
    of each, where none does.
    """
    wire.tolerate()
    nodes = nodes_of(url)
    random.shuffle(nodes)
    refusals: list[str] = []
    for node in nodes:
        try:
            return await _connect(node, name)
        except LinkLostError as error:
            refusals.append(str(error))
    raise LinkLostError("; ".join(refusals))


async def _connect(url: str, name: str) -> AbstractConnection:
    try:
        address = URL(url)
    except ValueError:
        raise LinkLostError("connecting to RabbitMQ: its URL makes no sense") from None
    if "heartbeat" not in address.query:
        address = address.update_query(heartbeat=HEARTBEAT_S)
    tls = tls_context(address)
    properties: FieldTable = {"connection_name": name}
    if not address.host:
        raise LinkLostError("connecting to RabbitMQ: its URL names no host")
    doing = f"connecting to RabbitMQ at {address.host}:{address.port or DEFAULT_PORTS.get(address.scheme)}"
    try:
        with link_errors(doing):
            return await aio_pika.connect(
                address,
                timeout=CONNECT_TIMEOUT_S,
                client_properties=properties,
                connection_class=Link,
                ssl_context=tls,
            )
    except LinkLostError as error:
        said = handshake_error(error) if tls is not None else None
        if tls is None and _NO_GREETING in str(error):
            said = (
                "it answers with something else than AMQP. Where the port is one for TLS, the URL begins with amqps://"
            )
        if said is None:
            raise
        raise LinkLostError(f"{doing}: {said}") from error


async def close(connection: AbstractConnection) -> None:
    """Close the connection in good order within a moment, or leave it: nothing that matters depends on it."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connection.close()


@asynccontextmanager
async def brief_channel(connection: AbstractConnection) -> AsyncIterator[AbstractChannel]:
    """Give the block a channel of its own, which the broker may close in the middle of it."""
    channel = await connection.channel()
    try:
        yield channel
    finally:
        if not channel.is_closed:
            with suppress(TimeoutError):  # of a broker that reads nothing more
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await channel.close()


@contextmanager
def link_errors(doing: str) -> Iterator[None]:
    """Turn whatever the driver raises when a connection or channel ends into LinkLostError.

    That includes a CancelledError that nobody sent us: the driver cancels what still waits on a channel that closes.
    And StopAsyncIteration, which it lets out where the broker hangs up while a connection is being opened.
    """
    try:
        yield
    except _ENDS as error:
        raise LinkLostError(f"{doing}: {' '.join(str(error).split()) or type(error).__name__}") from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LinkLostError(f"{doing}: the connection was closed") from None
