"""What is looked at now and then while a worker runs for long."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg
from aio_pika.abc import AbstractChannel

from schemas.catalog import REGISTRATIONS_QUEUE
from tests.benchmarks.accounting import resident_mib
from tests.benchmarks.crew import Crew

_SAMPLE = """
    SELECT (SELECT last_value FROM payments_id_seq) AS payments,
           (SELECT count(*) FROM outbox) AS outbox_rows,
           (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'outbox') AS outbox_dead_tuples,
           (SELECT sum(n_dead_tup)::bigint FROM pg_stat_user_tables) AS dead_tuples,
           pg_total_relation_size('outbox') / 1048576.0 AS outbox_mib
"""


@dataclass(frozen=True)
class Sample:
    """Seconds since the beginning, payment ids given out, messages in the queue, and sizes."""

    at_s: float
    payments: int
    ready: int
    outbox_rows: int
    outbox_dead_tuples: int
    dead_tuples: int
    outbox_mib: float
    resident_mib: float

    def row(self) -> dict[str, Any]:
        return asdict(self)


class Sampler:
    """Takes samples of a worker, its queue and its tables."""

    def __init__(self, crew: Crew, channel: AbstractChannel, database: "asyncpg.Connection[Any]") -> None:
        self._crew = crew
        self._channel = channel
        self._database = database
        self._began = time.monotonic()
        self.samples: list[Sample] = []

    async def ready(self) -> int:
        """Return how many messages wait in the queue."""
        queue = await self._channel.declare_queue(REGISTRATIONS_QUEUE, passive=True)
        return queue.declaration_result.message_count or 0

    async def booked(self) -> int:
        """Return how many payments stand in the books; this takes long where there are many."""
        return int(await self._database.fetchval("SELECT count(*) FROM payments"))

    async def take(self) -> Sample:
        ready = await self.ready()
        row = await self._database.fetchrow(_SAMPLE)
        sizes = {name: round(float(amount or 0), 1) for name, amount in dict(row or {}).items()}
        counts = {name: int(amount) for name, amount in sizes.items() if name != "outbox_mib"}
        sample = Sample(
            at_s=round(time.monotonic() - self._began, 1),
            ready=ready,
            outbox_mib=sizes["outbox_mib"],
            resident_mib=resident_mib(self._crew.pids),
            **counts,
        )
        self.samples.append(sample)
        return sample
