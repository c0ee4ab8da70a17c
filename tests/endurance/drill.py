"""One run from the setup to the verdict."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from deploy.servers import Servers
from deploy.servers.answers import ask_management
from deploy.servers.progress import say
from tests.endurance.books import Books
from tests.endurance.chaos import Chaos, Plan
from tests.endurance.figures import VIOLATIONS_SHOWN, Figures, Recoveries, machine, own_versions
from tests.endurance.fleet import Fleet
from tests.endurance.ledger import Ledger
from tests.endurance.link import AWAY
from tests.endurance.operation import CommandError, Operation
from tests.endurance.options import Options
from tests.endurance.oracle import Oracle
from tests.endurance.traffic import CANCELLATIONS, Action, Traffic
from tests.endurance.upstream import Upstream
from tests.endurance.world import World
from tests.site import eventually

LOOK_S = 1.0
TELL_S = 10.0
REST_S = 30.0
SHOWN_INVOICES = 5


class Drill:
    """Upstream, workers, ledger and blows on servers that are ours to kill; then the oracle."""

    def __init__(self, options: Options, servers: Servers, amqp_url: str, database_url: str, folder: Path) -> None:
        self._options = options
        self._servers = servers
        self._folder = folder
        self.operation = Operation(amqp_url, database_url)
        self.world = World(options.seed, options.payments)
        self.traffic = Traffic(options.seed, options.payments, self.world)
        self.ledger = Ledger(folder / "ledger.sqlite", self.traffic.unanswered())
        self.fleet = Fleet(self.operation.line.environment, folder, options.workers)
        self.upstream = Upstream(self.traffic, self.ledger, options.ahead)
        self.plan = Plan.drawn(
            options.seed, self.traffic.answers, options.kills, options.restarts, kills_broker=options.kills_broker
        )
        self.chaos = Chaos(self.plan, servers, self.fleet, self.ledger, options.seed)
        self.violations: list[str] = []
        self._began = time.monotonic()

    async def run(self) -> Figures:
        """Run it, and return the figures with whatever is not as it must be."""
        figures = Figures(command=self._options.command, machine=machine(), versions=own_versions())
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.ledger.memory.close)
            stack.push_async_callback(self.fleet.close)
            invoices = len(self.world.companies) * self.world.invoices_of_each
            say(f"Setting up {len(self.world.companies)} companies with {invoices:,} invoices ...")
            await self.operation.set_up(self.world, self._folder)
            self._began = self.ledger.last_answer_at = time.monotonic()
            async with self._background(self.ledger.run(self.operation.amqp_url)) as listening:
                await self._traffic_and_blows(listening)
                figures.duration_s = round(time.monotonic() - self._began, 1)
                await self._come_to_rest()
            checks_began = time.monotonic()
            say("Counting ...")
            await self._check(figures)
            figures.checks_s = round(time.monotonic() - checks_began, 1)
            self._fill_in(figures)
        return figures

    async def _traffic_and_blows(self, listening: asyncio.Task[None]) -> None:
        """Publish, kill and restart until every step that is to be answered is, or nothing moves any more."""
        await self.fleet.start()
        url = self.operation.amqp_url
        async with self._background(self.upstream.run(url)) as publishing, self._background(self.chaos.run()) as blows:
            told = self._began
            while self.ledger.answered < self.ledger.owed or not publishing.done() or not blows.done():
                tasks = (listening, publishing, blows)
                for task in tasks:
                    if task.done():
                        task.result()
                under_way = [task for task in tasks if not task.done()]
                await asyncio.wait(under_way, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                await self.fleet.look() if self.chaos.under_way is None else None
                if time.monotonic() - told >= TELL_S:
                    told = time.monotonic()
                    say(self.progress())
                if time.monotonic() - self.ledger.last_answer_at > self._options.patience_s:
                    self.violations.append(f"no new answer for {self._options.patience_s:g} s: {self.progress()}")
                    return

    def progress(self) -> str:
        elapsed = time.monotonic() - self._began
        answered, owed = self.ledger.answered, self.ledger.owed
        struck = ", ".join(f"{blow} {count}" for blow, count in sorted(self.chaos.struck.items()))
        under_way = f"; now: {self.chaos.under_way}" if self.chaos.under_way else ""
        return (
            f"{elapsed:6.0f} s  {answered * 100 // owed:3} %  {answered:,} of {owed:,} answered "
            f"({answered / elapsed:,.0f}/s), {self.upstream.to_be_answered - answered:,} on the way; "
            f"{struck or 'no blow yet'}{under_way}"
        )

    async def _come_to_rest(self) -> None:
        """Wait until nothing is on the way any more, and end the workers in order."""
        await self._await_rest("does not come to rest", self._options.patience_s if not self.violations else LOOK_S)
        try:
            await self.fleet.end()
        except TimeoutError:
            self.violations.append("a worker was started and never took messages")
        await self._await_rest("something is left after the end", REST_S)
        self.violations += self.fleet.deserted

    async def _await_rest(self, otherwise: str, patience_s: float) -> None:
        unrest = "the servers do not answer in time"

        async def is_at_rest() -> bool:
            nonlocal unrest
            unrest = await self._unrest()
            return not unrest

        try:
            await eventually(is_at_rest, within_s=patience_s, every_s=LOOK_S / 2)
        except TimeoutError:
            self.violations.append(f"{otherwise}: {unrest}")

    async def _unrest(self) -> str:
        """Return what is still on the way; nothing when all is at rest."""
        try:
            outbox, filed = await self.operation.outbox_and_dead_letters()
            waiting = await self.operation.waiting()
        except (*AWAY, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return f"a server does not answer: {error!r}"
        if outbox == 0 and filed >= len(self.traffic.filed) and not waiting:
            return ""
        return f"{outbox} in the outbox, {filed} of {len(self.traffic.filed)} dead letters filed, queues hold {waiting}"

    async def _check(self, figures: Figures) -> None:
        """Have the oracle count."""
        self.violations += Oracle(self.traffic, self.ledger.memory).violations()
        connection = await asyncpg.connect(self.operation.database_url)
        try:
            books = Books(self.world, self.traffic, self.ledger.memory, connection)
            self.violations += [each async for each in books.violations()]
            figures.bookings = await connection.fetchval("SELECT count(*) FROM payments WHERE statusid = 6")
            figures.allocations = await connection.fetchval("SELECT count(*) FROM allocations")
            figures.dead_letters = await connection.fetchval("SELECT count(*) FROM dead_letters")
            figures.database_mib = round(
                await connection.fetchval("SELECT pg_database_size(current_database())") / 2**20, 1
            )
            figures.versions["PostgreSQL"] = await connection.fetchval("SHOW server_version")
            figures.versions["RabbitMQ"] = await asyncio.to_thread(self._broker_version)
            if self.violations:
                await self._save(connection)
        finally:
            await connection.close()
        await self._check_shown()
        try:
            figures.audit = (await self.operation.command("audit")).strip().splitlines()[-1]
        except CommandError as error:
            figures.audit = str(error)
            self.violations.append(str(error))

    async def _check_shown(self) -> None:
        """Compare a few invoices as people are shown them with what the ledger was told."""
        sql = "SELECT company, billcode, sum(capital) FROM moves GROUP BY 1, 2 ORDER BY count(*) DESC LIMIT ?"
        names = {company.name: company for company in self.world.companies}
        for company, billcode, moved in self.ledger.memory.execute(sql, (SHOWN_INVOICES,)):
            shown = await self.operation.shown_invoice(company, billcode)
            invoice = self.world.invoice(names[company], int(billcode.rpartition("-")[2]))
            owed = invoice.capital - moved
            if shown["state"] != invoice.state or int(str(shown["capital"]).replace(".", "")) != owed:
                self.violations.append(f"{company} {billcode}: invoices show says {shown}, told was {owed} of capital")

    async def _save(self, connection: asyncpg.Connection) -> None:
        for table in ("payments", "allocations", "outbox", "dead_letters"):
            await connection.copy_from_table(table, output=self._folder / f"{table}.csv", format="csv", header=True)

    def _broker_version(self) -> str:
        overview = json.loads(ask_management(self._servers.management_url))
        return str(overview["rabbitmq_version"])

    def _fill_in(self, figures: Figures) -> None:
        memory, oldest = self.ledger.memory, self.fleet.oldest
        figures.payments = self.traffic.payments
        figures.steps = len(self.traffic)
        figures.duplicates = self.traffic.count(Action.AGAIN)
        figures.conflicts = self.traffic.count(Action.CONFLICT, Action.OTHER_CONFLICT)
        figures.cancellations = self.traffic.count(*CANCELLATIONS)
        figures.unreadable = len(self.traffic) - self.traffic.answers
        figures.published, figures.confirmed = self.upstream.sent, self.upstream.confirmed
        figures.published_again = self.upstream.sent_again
        figures.outcome_deliveries = self.ledger.deliveries
        (figures.distinct_events,) = memory.execute("SELECT count(*) FROM events").fetchone()
        reasons = memory.execute("SELECT reason, count(*) FROM events GROUP BY reason ORDER BY count(*) DESC")
        figures.events_by_reason = dict(reasons.fetchall())
        figures.blows = dict(sorted(self.chaos.struck.items()))
        for blow in figures.blows:
            times = [(each.next_s, each.oldest_s) for each in self.chaos.recoveries if each.blow == blow]
            if times:
                figures.recoveries[blow] = Recoveries.of(times)
        figures.errors_logged = dict(self.fleet.errors_logged())
        figures.answers_per_s = round(self.ledger.answered / max(figures.duration_s, 0.1), 1)
        if oldest is not None:
            figures.oldest_worker_s, figures.oldest_worker_peak_mib = (
                round(oldest.age_s),
                round(oldest.peak_kib / 1024, 1),
            )
        figures.violations_count = len(self.violations)
        figures.violations = self.violations[:VIOLATIONS_SHOWN]

    @asynccontextmanager
    async def _background(self, work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(work)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])
