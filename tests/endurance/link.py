"""What upstream and downstream do about a broker that goes away: nothing, but connect again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection

CONNECT_TIMEOUT_S = 10.0
HEARTBEAT_S = 10
AWAY_PAUSE_S = 0.5
AWAY = (aiormq.AMQPError, RuntimeError, OSError, TimeoutError, StopAsyncIteration)
"""What the driver raises where the broker is away or hangs up."""


@contextlib.contextmanager
def tolerating_outages() -> Iterator[None]:
    """Leave the block quietly where the broker goes away. The driver then cancels what waits on a channel."""
    try:
        yield
    except AWAY:
        pass
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[AbstractConnection]:
    """Connect for as long as the block lasts. Raises one of AWAY."""
    connection = await aio_pika.connect(url, timeout=CONNECT_TIMEOUT_S, heartbeat=HEARTBEAT_S)
    try:
        yield connection
    finally:
        with tolerating_outages():
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await connection.close()
