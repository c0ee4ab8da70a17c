"""A worker at work for long: on a backlog that was there before it, and at a steady rate."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import uvloop

from deploy.servers.progress import say
from tests.benchmarks.books import Totals, complaints
from tests.benchmarks.contestants import WORKER
from tests.benchmarks.crew import Crew, environment
from tests.benchmarks.growth.sampling import Sample, Sampler
from tests.benchmarks.ledger import open_ledger
from tests.benchmarks.payments import Load, as_published
from tests.benchmarks.stage import Place, Stage
from tests.benchmarks.trial import TrialError
from worker.broker.connection import connect
from worker.broker.publisher import Publisher
from worker.broker.topology import declare

WINDOW_MESSAGES = 1_000
LEDGER_MESSAGES_MAX = 1_000
TICK_S = 0.05
SAYS_OF_MESSAGES = 100_000
SAYS_S = 60.0
EMPTY = Totals(0, 0, 0, 0)
STALLED_S = 120.0


def backlog(stage: Stage, messages: int, sample_s: float) -> dict[str, Any]:
    """Publish all, then start a worker and look on until all are booked. Raises TrialError."""
    with stage.place("worker") as place:
        return uvloop.run(_Run(place, Load(messages, stage.invoices), sample_s).on_backlog())


def steady(stage: Stage, minutes: float, per_s: int, sample_s: float) -> dict[str, Any]:
    """Publish at a steady rate for so long, with a worker beside it. Raises TrialError."""
    with stage.place("worker") as place:
        load = Load(int(minutes * 60 * per_s), stage.invoices)
        return uvloop.run(_Run(place, load, sample_s).steadily(per_s))


@dataclass
class _Tools:
    publisher: Publisher
    sampler: Sampler
    crew: Crew


class _Run:
    def __init__(self, place: Place, load: Load, sample_s: float) -> None:
        self._place = place
        self._load = load
        self._sample_s = sample_s

    async def on_backlog(self) -> dict[str, Any]:
        connection = await connect(self._place.vhost.amqp_url, "benchmark")
        try:
            await declare(connection)
            await open_ledger(connection, LEDGER_MESSAGES_MAX)
            publisher = Publisher(connection)
            for numbers in self._load.windows(WINDOW_MESSAGES):
                await self._publish(publisher, numbers)
                if numbers.stop % SAYS_OF_MESSAGES == 0:
                    say(f"published {numbers.stop:,}")
        finally:
            await connection.close()
        async with self._tools() as tools:
            await self._drain(tools)
        return await self._figures(tools)

    async def steadily(self, per_s: int) -> dict[str, Any]:
        async with self._tools() as tools:
            began, published, sampled, said = time.monotonic(), 0, 0.0, 0.0
            while published < self._load.messages:
                elapsed = time.monotonic() - began
                due = min(int(elapsed * per_s), self._load.messages)
                await self._publish(tools.publisher, range(published, due))
                published = due
                if elapsed - sampled > self._sample_s:
                    sampled = elapsed
                    await tools.sampler.take()
                if elapsed - said > SAYS_S and tools.sampler.samples:
                    said = elapsed
                    say(str(tools.sampler.samples[-1]))
                await asyncio.sleep(TICK_S)
            await self._drain(tools)
        return await self._figures(tools)

    @asynccontextmanager
    async def _tools(self) -> AsyncIterator[_Tools]:
        """Connect to both servers, declare what lacks, and start a worker."""
        connection = await connect(self._place.vhost.amqp_url, "benchmark")
        database = await asyncpg.connect(self._place.database_url)
        try:
            await declare(connection)
            await open_ledger(connection, LEDGER_MESSAGES_MAX)
            channel = await connection.channel()
            with Crew(WORKER, environment(self._place.vhost, self._place.database_url)) as crew:
                yield _Tools(Publisher(connection), Sampler(crew, channel, database), crew)
                crew.look()
                crew.stop()
        finally:
            await database.close()
            await connection.close()

    async def _publish(self, publisher: Publisher, numbers: range) -> None:
        await publisher.publish([as_published(self._load.key(each), self._load.payment(each)) for each in numbers])

    async def _drain(self, tools: _Tools) -> None:
        """Take samples until nothing waits any more, neither in the queue nor in the outbox."""
        moved_at, before = time.monotonic(), -1
        while True:
            sample = await tools.sampler.take()
            may_be_done = not sample.ready and not sample.outbox_rows and sample.payments >= self._load.messages
            if may_be_done and await tools.sampler.booked() == self._load.messages:
                return
            if sample.payments != before:
                moved_at, before = time.monotonic(), sample.payments
            if tools.crew.has_ended or time.monotonic() - moved_at > STALLED_S:
                raise TrialError(f"{sample} is where it ended:\n{tools.crew.log_tail()}")
            await asyncio.sleep(self._sample_s)

    async def _figures(self, tools: _Tools) -> dict[str, Any]:
        samples = tools.sampler.samples
        return {
            "messages": self._load.messages,
            "per_s": round(_per_s(samples), 1),
            "peak_mib": tools.crew.peak_mib,
            "wrong": await complaints(self._place.database_url, EMPTY, self._load.messages),
            "samples": [sample.row() for sample in samples],
        }


def _per_s(samples: Sequence[Sample]) -> float:
    """Return how fast it went between the first and the last sample that found it at work, or else on the whole."""
    at_work = [sample for sample in samples if sample.outbox_rows]
    first, last = (at_work[0], at_work[-1]) if len(at_work) > 1 else (samples[0], samples[-1])
    return (last.payments - first.payments) / max(last.at_s - first.at_s, TICK_S)
