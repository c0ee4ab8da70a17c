"""Whether ledger and books agree: what was told against what Postgres holds."""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import asyncpg

from tests.endurance.traffic import Traffic
from tests.endurance.world import World

ROWS_AT_A_TIME = 5_000
ALLOCATED = """
    SELECT company, billcode, capital, interest, noticefee, capital_allocated, interest_allocated, noticefee_allocated
    FROM invoices
"""
OUTCOMES = "SELECT event_id, decode(md5(body), 'hex') FROM outcomes"
BOOKED_SUMS = """
    SELECT currency, sum(amount)::text, sum(unfocused)::text, count(*)::text FROM payments
    WHERE statusid = 6 OR cancels IS NOT NULL GROUP BY currency
"""
ALLOCATED_SUMS = """
    SELECT p.currency, sum(a.capital)::text, sum(a.interest)::text, sum(a.noticefee)::text, count(*)::text
    FROM allocations a JOIN payments p ON p.id = a.payment_id GROUP BY p.currency
"""
DEAD_LETTERS = "SELECT company, idempotency_key, reason, count, state FROM dead_letters"
MOVED = """
    SELECT company, billcode, sum(capital), sum(interest), sum(noticefee) FROM moves GROUP BY company, billcode
"""
TOLD_SUMS = """
    SELECT currency, sum(amount), sum(unfocused), count(*) FROM events
    WHERE statusid = 6 OR reason = 'cancelled' GROUP BY currency
"""
MOVED_SUMS = """
    SELECT currency, sum(capital), sum(interest), sum(noticefee), count(*) FROM moves JOIN events USING (event_id)
    GROUP BY currency
"""
DIGEST = "SELECT digest FROM events WHERE event_id = ?"


class Books:
    def __init__(
        self, world: World, traffic: Traffic, memory: sqlite3.Connection, database: asyncpg.Connection
    ) -> None:
        self._world = world
        self._traffic = traffic
        self._memory = memory
        self._database = database

    async def violations(self) -> AsyncIterator[str]:
        """Return, one by one, what does not agree."""
        for each in await self._check_invoices():
            yield each
        for what, told, held in (("payments", TOLD_SUMS, BOOKED_SUMS), ("allocations", MOVED_SUMS, ALLOCATED_SUMS)):
            sums = {tuple(map(str, row)) for row in self._memory.execute(told)}
            books = {tuple(row) for row in await self._database.fetch(held)}
            for row in sorted(sums ^ books):
                yield f"sums of {what}: {'the ledger' if row in sums else 'the books'} alone say {' '.join(row)}"
        for each in await self._check_outcomes():
            yield each
        for each in self._check_dead_letters(await self._database.fetch(DEAD_LETTERS)):
            yield each
        for table in ("outbox", "pending"):
            if rows := await self._database.fetchval(f"SELECT count(*) FROM {table}"):
                yield f"{table}: {rows} rows are left"

    async def _check_invoices(self) -> list[str]:
        """Compare what was stated and what is allocated, invoice by invoice."""
        moved = {(company, billcode): amounts for company, billcode, *amounts in self._memory.execute(MOVED)}
        stated = {
            (company.name, invoice.billcode): [*invoice[2:]]
            for company in self._world.companies
            for invoice in self._world.invoices(company)
        }
        found = []
        for row in await self._database.fetch(ALLOCATED):
            name = row["company"], row["billcode"]
            told = [*stated.pop(name, []), *moved.pop(name, [0, 0, 0])]
            held = [*tuple(row)[2:]]
            if told != held:
                found.append(f"{' '.join(name)}: the books hold {held}, stated and told were {told}")
        found += [f"{' '.join(name)}: the ledger was told of it, and the books do not hold it" for name in moved]
        found += [f"{' '.join(name)}: was imported, and the books do not hold it" for name in stated]
        return found

    async def _check_outcomes(self) -> list[str]:
        """Compare every event of the books with what was told, byte for byte."""
        found, count = [], 0
        async with self._database.transaction():
            async for event_id, digest in self._database.cursor(OUTCOMES, prefetch=ROWS_AT_A_TIME):
                count += 1
                told = self._memory.execute(DIGEST, (event_id.bytes,)).fetchone()
                if told != (digest,):
                    found.append(f"event {event_id}: {'was never told' if told is None else 'was told in other bytes'}")
        (told_count,) = self._memory.execute("SELECT count(*) FROM events").fetchone()
        if told_count != count:
            found.append(f"{told_count} events were told, and the books hold {count}")
        return found

    def _check_dead_letters(self, letters: list[asyncpg.Record]) -> Iterator[str]:
        """Compare what was filed with what could not be read: each once at least, and nothing else."""
        published: Counter[tuple[str, str, str]] = Counter()
        for step in map(self._traffic.step, self._traffic.filed):
            published[step.company, step.key, str(step.dead_letter)] += 1
        for company, key, reason, count, state in letters:
            times = published.pop((company, key, reason), 0)
            if not times:
                yield f"{company} {key}: a dead letter of reason {reason} that nobody published"
            elif count < times or state != "open":
                yield f"{company} {key}: published {times} times, filed {count} times as {reason}, now {state}"
        for company, key, reason in published:
            yield f"{company} {key}: not filed as {reason}"
