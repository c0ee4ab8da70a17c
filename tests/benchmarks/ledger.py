"""A downstream's queue, bound to all outcomes: how much it has been told, and of what."""

import asyncio
import json
from collections import Counter
from decimal import Decimal

from aio_pika.abc import AbstractChannel, AbstractConnection

from schemas.catalog import OUTCOMES
from schemas.outcome import Status
from worker.broker.channel import open_channel
from worker.broker.delivery import Delivery

QUEUE = "ledger"
PREFETCH_MESSAGES = 2_000
ACKNOWLEDGED_TOGETHER = 500
READ_S = 60.0


class Ledger:
    """The queue. Count while the contestant works, read once it has ended."""

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        self._connection = connection
        self._channel = channel

    async def count(self) -> int:
        queue = await self._channel.declare_queue(QUEUE, passive=True)
        return queue.declaration_result.message_count or 0

    async def read(self) -> tuple[Counter[str], int]:
        """Return how often it has been told of each key, and how many outcomes say something else than a booking."""
        wanted = await self.count()
        told: list[Delivery] = []
        all_told = asyncio.Event()
        channel = await open_channel(self._connection)

        def take(delivery: Delivery) -> None:
            told.append(delivery)
            if delivery.tag % ACKNOWLEDGED_TOGETHER == 0:
                channel.acknowledge(delivery.tag)
            if len(told) >= wanted:
                all_told.set()

        if wanted:
            await channel.consume(QUEUE, PREFETCH_MESSAGES, take)
            async with asyncio.timeout(READ_S):
                await all_told.wait()
        said = [_said(delivery) for delivery in told]
        return Counter(key for key, _ in said), sum(not is_good for _, is_good in said)


async def open_ledger(connection: AbstractConnection, messages_max: int | None = None) -> Ledger:
    """Declare the queue; with a maximum it forgets the oldest, for runs that nobody could keep all outcomes of."""
    channel = await connection.channel()
    bound = {} if messages_max is None else {"x-max-length": messages_max}
    queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum", **bound})
    await queue.bind(OUTCOMES, "#")
    return Ledger(connection, channel)


def _said(delivery: Delivery) -> tuple[str, bool]:
    """Return the key of what was told, and whether it is a booking of the whole amount, or no outcome at all."""
    body = json.loads(delivery.body)
    if "statusid" not in body:
        return str(delivery.properties.message_id), True
    parts = (body[f"focusedto{part}"] for part in ("capital", "interest", "noticefee"))
    return str(body["idempotency_key"]), body["statusid"] == Status.OHISPAY and sum(map(Decimal, parts)) == Decimal(1)
