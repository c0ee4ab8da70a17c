"""Books that have a history: filled by SQL from a few payments that the worker's own code has booked."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg

from deploy.servers import Servers
from deploy.servers.progress import step
from tests.benchmarks.limits.in_batches import requests
from tests.benchmarks.payments import COMPANY, Load
from tests.benchmarks.stage import fill
from tests.places import database_url, new_database
from worker.books.companies import read_policies
from worker.books.ledger import settle_batch
from worker.books.session import Session
from worker.domain.view import Moment

PAYMENTS_AN_INVOICE = 5
CHUNK_INVOICES = 25_000
CONNECTIONS = 2
_FILL = Path(__file__).with_name("fill.sql").read_text(encoding="utf-8")
_IDS_OF_OTHERS = "SELECT setval(pg_get_serial_sequence('payments', 'id'), 1000000000)"
"""Payments that are booked meanwhile keep out of the way of those that are filled in."""


class Filled:
    """A database of the worker's whose books grow by leaps, five payments an invoice."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.invoices = 1

    @property
    def payments(self) -> int:
        return self.invoices * PAYMENTS_AN_INVOICE

    def grow(self, invoices: int) -> None:
        """Fill the books until they hold so many invoices."""
        with step(f"Filling the books: {invoices * PAYMENTS_AN_INVOICE:,} payments, {invoices:,} invoices"):
            asyncio.run(self._grow(invoices))
        self.invoices = invoices

    async def _grow(self, invoices: int) -> None:
        firsts = iter(range(self.invoices + 1, invoices + 1, CHUNK_INVOICES))
        await asyncio.gather(*(self._fill(firsts, invoices) for _ in range(CONNECTIONS)))
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute("VACUUM (ANALYZE)")
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()

    async def _fill(self, firsts: Iterator[int], invoices: int) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for first in firsts:
                async with connection.transaction():
                    await connection.execute(_FILL.format(first=first, last=min(first + CHUNK_INVOICES - 1, invoices)))
        finally:
            await connection.close()


@contextmanager
def open_filled(servers: Servers) -> Iterator[Filled]:
    """Give a database with one invoice and its five payments, to be grown."""
    with new_database(servers) as name:
        url = database_url(servers, name)
        asyncio.run(_book_samples(url))
        yield Filled(url)


async def _book_samples(url: str) -> None:
    await fill(url, "worker", invoices=1)
    async with Session(url, "benchmark") as session:
        async with session.connection() as connection:
            policies = await read_policies(connection, {COMPANY})
        moment = Moment(datetime.now(UTC), ZoneInfo("UTC"))
        samples = requests(Load(PAYMENTS_AN_INVOICE, 1, mark="s"), policies[COMPANY], moment)
        await settle_batch(session, samples, policies, moment)
        async with session.connection() as connection:
            await connection.execute("DELETE FROM outbox")  # nobody is to be told of them
            await connection.execute(_IDS_OF_OTHERS)
