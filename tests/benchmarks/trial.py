"""One contestant, one full queue: how fast it is emptied, what that costs, and whether all was told once."""

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop
from aio_pika.abc import AbstractConnection

from tests.benchmarks.accounting import Accounts, cpu_us_each
from tests.benchmarks.books import Totals, complaints, totals
from tests.benchmarks.contestants import Contestant
from tests.benchmarks.crew import Crew, environment
from tests.benchmarks.ledger import Ledger, open_ledger
from tests.benchmarks.payments import Load
from tests.benchmarks.stage import Place, Stage
from tests.site import eventually
from worker.broker.connection import connect
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.broker.topology import declare

WINDOW_MESSAGES = 1_000
START_SHARE = 0.05
"""Of the outcomes: what is told before the measuring begins, since starting a process is none of it."""
POLL_S = 0.01
DEADLINE_S = 300.0
QUIET_S = 2.0
MISSING_QUIET_S = 40.0
"""After kills it is over when nothing has been told for so long; where something is missing, a retry may be to come."""


class TrialError(Exception):
    """A contestant did not do its work."""


@dataclass(frozen=True)
class Result:
    """What a trial came to. CPU by who used it: program, postgres, rabbitmq."""

    contestant: str
    messages: int
    per_s: float
    cpu_us: dict[str, float]
    peak_mib: float
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)
    kills: int = 0

    def row(self) -> dict[str, Any]:
        return asdict(self)


def run(stage: Stage, contestant: Contestant, load: Load, kills: int = 0, database_url: str | None = None) -> Result:
    """Fill a queue, let the contestant empty it, and count what came of it. Raises TrialError."""
    place = stage.place(contestant.books) if database_url is None else stage.place_at(database_url)
    with place as found:
        return uvloop.run(_Trial(stage.accounts, contestant, load, found).run(kills))


class _Trial:
    def __init__(self, accounts: Accounts, contestant: Contestant, load: Load, place: Place) -> None:
        self._accounts = accounts
        self._contestant = contestant
        self._load = load
        self._place = place

    async def run(self, kills: int) -> Result:
        before = await self._totals()
        connection = await connect(self._place.vhost.amqp_url, "benchmark")
        try:
            ledger = await self._prepare(connection)
            with Crew(self._contestant, environment(self._place.vhost, self._place.database_url)) as crew:
                watch = _Watch(self._accounts, crew, ledger, self._load.messages)
                await (watch.until_killed(kills) if kills else watch.until_told())
                crew.stop()
            told, mistold = await ledger.read()
        finally:
            await connection.close()
        expected = self._load.expected()
        wrong = [f"{mistold} outcomes are no booking of a euro"] if mistold else []
        if before is not None:
            wrong += await complaints(self._place.database_url, before, len(expected))
        return Result(
            self._contestant.name,
            self._load.messages,
            round(watch.per_s, 1),
            watch.cpu_us,
            crew.peak_mib,
            lost=(expected - told).total(),
            doubled=(told - expected).total(),
            wrong=wrong,
            kills=kills,
        )

    async def _totals(self) -> Totals | None:
        return None if self._contestant.books is None else await totals(self._place.database_url)

    async def _prepare(self, connection: AbstractConnection) -> Ledger:
        """Declare what there is to declare, and publish all payments."""
        await declare(connection)
        ledger = await open_ledger(connection)
        channel = await connection.channel()
        for name, arguments in self._contestant.queues.items():
            await channel.declare_queue(name, durable=True, arguments=arguments)
        publisher = Publisher(connection)
        for numbers in self._load.windows(WINDOW_MESSAGES):
            await publisher.publish([self._publication(number) for number in numbers])
        return ledger

    def _publication(self, number: int) -> Publication:
        return self._contestant.publication(self._load.key(number), self._load.payment(number))


class _Watch:
    """Looks on while the contestant works: the first moments are not measured."""

    def __init__(self, accounts: Accounts, crew: Crew, ledger: Ledger, messages: int) -> None:
        self._accounts = accounts
        self._crew = crew
        self._ledger = ledger
        self._messages = messages
        self._until = time.monotonic() + DEADLINE_S
        self.per_s = 0.0
        self.cpu_us: dict[str, float] = {}

    async def until_told(self) -> None:
        """Measure from the first outcomes to the last; from the start where all are there at the first look."""
        (began, used_before), first = self._spent(), 0
        told = await self._told(int(self._messages * START_SHARE))
        if told < self._messages:
            (began, used_before), first = self._spent(), told
        last = await self._told(self._messages)
        ended, used = self._spent()
        self._crew.look()
        self.per_s = (last - first) / (ended - began)
        self.cpu_us = cpu_us_each(used_before, used, last - first)

    async def until_killed(self, kills: int) -> None:
        """Kill and start it so often, spread over its work, and wait until nothing more comes."""
        for number in range(1, kills + 1):
            before = await self._told(self._messages * number // (kills + 1))
            self._crew.kill()
            self._crew.start()
        last, quiet_since = await self._told(min(before + 1, self._messages)), time.monotonic()
        while time.monotonic() - quiet_since < (QUIET_S if last >= self._messages else MISSING_QUIET_S):
            await asyncio.sleep(POLL_S)
            count = await self._ledger.count()
            if count != last:
                last, quiet_since = count, time.monotonic()

    def _spent(self) -> tuple[float, dict[str, float]]:
        """Return the time, and the CPU that has been used so far."""
        return time.perf_counter(), self._accounts.cpu_s(self._crew.pids)

    async def _told(self, wanted: int) -> int:
        """Return how many outcomes there are once there are so many."""
        count = 0

        async def are_told() -> bool:
            nonlocal count
            count = await self._ledger.count()
            if count < wanted and self._crew.has_ended:
                raise TimeoutError
            return count >= wanted

        try:
            await eventually(are_told, within_s=self._until - time.monotonic(), every_s=POLL_S)
        except TimeoutError:
            text = f"{count} of {wanted} outcomes were told; what it said last:\n{self._crew.log_tail()}"
            raise TrialError(text) from None
        return count
