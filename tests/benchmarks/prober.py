"""Publishes payments at a steady rate and notes when each outcome arrives. In a process of its own, not to slow others.

It shares its cores with what it measures, so it does as little as it can while the clock runs: what it publishes is
encoded before, and of what arrives it reads the key.

python -m tests.benchmarks.prober PER_S SECONDS SINGLES INVOICES: prints as JSON how long each took, in milliseconds.
"""

import asyncio
import gc
import json
import os
import struct
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple, Self, cast

import aiormq
import uvloop

from schemas.catalog import KEY_HEADER
from tests.benchmarks.ledger import ACKNOWLEDGED_TOGETHER, PREFETCH_MESSAGES, QUEUE
from tests.benchmarks.payments import Load, as_published
from worker.broker import frames
from worker.broker.channel import never
from worker.broker.connection import connect
from worker.broker.link import BODY, HEADER, METHOD, Link, Sink
from worker.limits import FRAME_BYTES_MAX

TICK_S = 0.001
WARM_UP_S = 1.0
PAUSE_S = 0.02
"""Between two single messages: the worker has nothing left to do."""
ARRIVAL_S = 60.0
_KEY = frames.short_string(KEY_HEADER) + b"S"
_LENGTH = struct.Struct(">I")


class Payment(NamedTuple):
    """A payment to be published, as the bytes that go to the broker."""

    key: bytes
    frames: bytes


class Side:
    """A connection with one channel, whose frames are handed to a sink."""

    def __init__(self, link: Link, driver: aiormq.Channel) -> None:
        self._link = link
        self.driver = driver
        self.wire = link.wire

    @classmethod
    async def open(cls, url: str, name: str) -> Self:
        link = cast("Link", await connect(url, name))
        channel = await link.channel(publisher_confirms=True)
        return cls(link, cast("aiormq.Channel", await channel.get_underlay_channel()))

    def attach(self, sink: Sink) -> None:
        self.wire.attach(self.driver.number, sink)

    async def close(self) -> None:
        await self._link.close()


class Prober:
    """Knows of each key when it was published, and how long its outcome took from then on."""

    def __init__(self, publishing: Side, consuming: Side) -> None:
        self._publishing = publishing
        self._consuming = consuming
        self._published_at: dict[bytes, float] = {}
        self._took_ms: dict[bytes, float] = {}
        self._arriving = b""
        self._arrived = asyncio.Event()

    async def listen(self) -> None:
        self._publishing.attach(lambda kind, payload: kind == METHOD and frames.method_of(payload) == frames.ACK)
        await self._consuming.driver.basic_qos(prefetch_count=PREFETCH_MESSAGES)
        self._consuming.attach(self._take)
        await self._consuming.driver.basic_consume(QUEUE, never)

    def payments(self, load: Load) -> list[Payment]:
        number = self._publishing.driver.number
        made = (as_published(load.key(each), load.payment(each)) for each in range(load.messages))
        return [
            Payment(
                str(each.properties.message_id).encode(),
                frames.published(
                    number, each.exchange, each.routing_key, each.properties.marshal(), each.body, FRAME_BYTES_MAX
                ),
            )
            for each in made
        ]

    async def steadily(self, payments: Sequence[Payment], per_s: float) -> list[float]:
        """Publish the payments one by one at that rate, and return how long each took."""
        began, published = time.perf_counter(), 0
        while published < len(payments):
            due = min(int((time.perf_counter() - began) * per_s) + 1, len(payments))
            await self._publish(payments[published:due])
            published = due
            await asyncio.sleep(TICK_S)
        return await self._times(payments)

    async def singly(self, payments: Sequence[Payment]) -> list[float]:
        """Publish each payment when the one before it has been answered, and return how long each took."""
        for payment in payments:
            await self._publish([payment])
            await self._times([payment])
            await asyncio.sleep(PAUSE_S)
        return await self._times(payments)

    async def _publish(self, due: Sequence[Payment]) -> None:
        if due:
            self._published_at.update(dict.fromkeys([payment.key for payment in due], time.perf_counter()))
            self._publishing.wire.write(b"".join([payment.frames for payment in due]))
            await self._publishing.wire.drain()

    async def _times(self, payments: Sequence[Payment]) -> list[float]:
        """Return how long they took, once all of them have been answered."""
        async with asyncio.timeout(ARRIVAL_S):
            while not all(payment.key in self._took_ms for payment in reversed(payments)):
                self._arrived.clear()
                await self._arrived.wait()
        return [self._took_ms[payment.key] for payment in payments]

    def _take(self, kind: int, payload: bytes) -> bool:
        """Take the frames of an outcome, whose body is one frame. Deliveries are numbered from one on."""
        if kind == HEADER:
            start = payload.index(_KEY) + len(_KEY) + _LENGTH.size
            (length,) = _LENGTH.unpack_from(payload, start - _LENGTH.size)
            self._arriving = payload[start : start + length]
        elif kind == BODY:
            self._took_ms[self._arriving] = (time.perf_counter() - self._published_at[self._arriving]) * 1000
            arrived = len(self._took_ms)
            if arrived % ACKNOWLEDGED_TOGETHER == 0:
                self._consuming.wire.write(frames.acknowledged(self._consuming.driver.number, arrived))
            self._arrived.set()
        else:
            return frames.method_of(payload) == frames.DELIVER
        return True


async def main(per_s: float, seconds: float, singles: int, invoices: int) -> None:
    url = os.environ["PAYMENT_WORKER_AMQP_URL"]
    publishing, consuming = await Side.open(url, "publishes"), await Side.open(url, "consumes")
    try:
        prober = Prober(publishing, consuming)
        warm_up = prober.payments(Load(int(per_s * WARM_UP_S), invoices, mark="w"))
        measured = prober.payments(Load(int(per_s * seconds), invoices, mark="l"))
        alone = prober.payments(Load(singles, invoices, mark="s"))
        gc.disable()  # it would stop the clock's reader, and find nothing
        await prober.listen()
        await prober.steadily(warm_up, per_s)
        began_s = time.process_time()
        loaded, idle = await prober.steadily(measured, per_s), await prober.singly(alone)
        used_s = time.process_time() - began_s
    finally:
        await publishing.close()
        await consuming.close()
    print(json.dumps({"loaded": loaded, "idle": idle, "cpu_s": used_s}))


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
