"""Publishes payments at a steady rate and notes when each outcome arrives. In a process of its own, not to slow others.

python -m tests.benchmarks.prober PER_S SECONDS SINGLES INVOICES: prints as JSON how long each took, in milliseconds.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence

import uvloop
from msgspec import structs
from pamqp.commands import Basic

from schemas.catalog import KEY_HEADER
from tests.benchmarks.ledger import ACKNOWLEDGED_TOGETHER, PREFETCH_MESSAGES, QUEUE
from tests.benchmarks.payments import Load, as_published
from worker.broker.channel import Channel, open_channel
from worker.broker.connection import connect
from worker.broker.delivery import Delivery
from worker.broker.publication import Publication
from worker.broker.stamp import Stamped

TICK_S = 0.001
WARM_UP_S = 1.0
PAUSE_S = 0.02
"""Between two single messages: the worker has nothing left to do."""
ARRIVAL_S = 60.0


class Prober:
    """Knows of each key when it was published, and how long its outcome took from then on."""

    def __init__(self, publishing: Channel, consuming: Channel) -> None:
        self._publishing = publishing
        self._consuming = consuming
        self._published_at: dict[str, float] = {}
        self._took_ms: dict[str, float] = {}
        self._arrived = asyncio.Event()

    async def listen(self) -> None:
        await self._consuming.consume(QUEUE, PREFETCH_MESSAGES, self._take)

    async def steadily(self, payments: Sequence[Publication], per_s: float) -> list[float]:
        """Publish the payments one by one at that rate, and return how long each took."""
        publishing: set[asyncio.Task[object]] = set()
        began, published = time.perf_counter(), 0
        while published < len(payments):
            due = min(int((time.perf_counter() - began) * per_s) + 1, len(payments))
            if due > published:
                task: asyncio.Task[object] = asyncio.create_task(self._publish(payments[published:due]))
                publishing.add(task)
                task.add_done_callback(publishing.discard)
                published = due
            await asyncio.sleep(TICK_S)
        return await self._times(payments)

    async def singly(self, payments: Sequence[Publication]) -> list[float]:
        """Publish each payment when the one before it has been answered, and return how long each took."""
        for payment in payments:
            await self._publish([payment])
            await self._times([payment])
            await asyncio.sleep(PAUSE_S)
        return await self._times(payments)

    async def _publish(self, due: Sequence[Publication]) -> None:
        now = time.perf_counter()
        self._published_at.update(dict.fromkeys(map(_key, due), now))
        await self._publishing.publish(due)

    async def _times(self, payments: Sequence[Publication]) -> list[float]:
        """Return how long they took, once all of them have been answered."""
        keys = [_key(each) for each in payments]
        async with asyncio.timeout(ARRIVAL_S):
            while not all(key in self._took_ms for key in reversed(keys)):
                self._arrived.clear()
                await self._arrived.wait()
        return [self._took_ms[key] for key in keys]

    def _take(self, delivery: Delivery) -> None:
        key = str(delivery.headers[KEY_HEADER])
        self._took_ms[key] = (time.perf_counter() - self._published_at[key]) * 1000
        if delivery.tag % ACKNOWLEDGED_TOGETHER == 0:
            self._consuming.acknowledge(delivery.tag)
        self._arrived.set()


class Encoded(Basic.Properties):
    """Properties that are encoded before the clock runs: while the worker is measured the cores are to be its own."""

    def __init__(self, properties: Basic.Properties | Stamped) -> None:
        super().__init__(message_id=properties.message_id)
        self._encoded = properties.marshal()

    def marshal(self) -> bytes:
        return self._encoded


def payments(load: Load) -> list[Publication]:
    made = (as_published(load.key(number), load.payment(number)) for number in range(load.messages))
    return [structs.replace(each, properties=Encoded(each.properties)) for each in made]


def _key(payment: Publication) -> str:
    return str(payment.properties.message_id)


async def main(per_s: float, seconds: float, singles: int, invoices: int) -> None:
    url = os.environ["PAYMENT_WORKER_AMQP_URL"]
    warm_up = payments(Load(int(per_s * WARM_UP_S), invoices, mark="w"))
    measured = payments(Load(int(per_s * seconds), invoices, mark="l"))
    alone = payments(Load(singles, invoices, mark="s"))
    publishing, consuming = await connect(url, "publishes"), await connect(url, "consumes")
    try:
        prober = Prober(await open_channel(publishing), await open_channel(consuming))
        await prober.listen()
        await prober.steadily(warm_up, per_s)
        began_s = time.process_time()
        loaded, idle = await prober.steadily(measured, per_s), await prober.singly(alone)
    finally:
        await publishing.close()
        await consuming.close()
    print(json.dumps({"loaded": loaded, "idle": idle, "cpu_s": time.process_time() - began_s}))


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
