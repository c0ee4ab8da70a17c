"""Where contestants work: for each trial a vhost and a copy of tables that hold invoices and no payments."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.servers import Servers
from tests.benchmarks.accounting import Accounts
from tests.benchmarks.contestants import Books
from tests.benchmarks.payments import COMPANY
from tests.places import Vhost, database_url, new_database, new_vhost
from worker.books.companies import put_policy
from worker.books.migrate import migrate
from worker.domain.policy import Policy

INVOICES = 5_000
CAPITAL_MINOR, INTEREST_MINOR, NOTICEFEE_MINOR = 100_000_000, 1_000, 500
"""Owed on each invoice: a million payments of a euro fit, of which the first fifteen go to costs and interest."""
LOG_FILES = 64
"""Files of Postgres's log, of 16 MiB each, that are made beforehand and kept: more than is written in a trial."""
_PEERS_SCHEMA = Path(__file__).parent / "peers" / "schema.sql"
_INVOICES = {
    "worker": "INSERT INTO invoices"
    " (company, billcode, currency, stated_state, version, capital, interest, noticefee)"
    " SELECT $1, 'b' || n, 'EUR', 'OPEN', 1, $3, $4, $5 FROM generate_series(1, $2) AS n",
    "peer": "INSERT INTO invoices (company, billcode, capital, interest, noticefee)"
    " SELECT $1, 'b' || n, $3, $4, $5 FROM generate_series(1, $2) AS n",
}


@dataclass(frozen=True)
class Place:
    """A vhost and a database of one trial."""

    vhost: Vhost
    database_url: str


class Stage:
    """The servers, with a filled database of each kind to be copied."""

    def __init__(self, servers: Servers, templates: dict[Books, str], invoices: int) -> None:
        self.servers = servers
        self.invoices = invoices
        self.accounts = Accounts(servers)
        self._templates = templates

    @contextmanager
    def place(self, books: Books | None) -> Iterator[Place]:
        """Give a fresh place, which is gone afterwards."""
        template = "template1" if books is None else self._templates[books]
        with new_database(self.servers, template) as name, new_vhost(self.servers) as vhost:
            yield Place(vhost, database_url(self.servers, name))

    @contextmanager
    def place_at(self, kept_database_url: str) -> Iterator[Place]:
        """Give a place with a fresh vhost and a database that is kept."""
        with new_vhost(self.servers) as vhost:
            yield Place(vhost, kept_database_url)


@contextmanager
def open_stage(servers: Servers, invoices: int = INVOICES) -> Iterator[Stage]:
    kinds: tuple[Books, ...] = ("worker", "peer")
    with ExitStack() as stack:
        templates: dict[Books, str] = {}
        asyncio.run(make_log_files(servers.database_url))
        for books in kinds:
            templates[books] = stack.enter_context(new_database(servers))
            asyncio.run(fill(database_url(servers, templates[books]), books, invoices))
        yield Stage(servers, templates, invoices)


async def make_log_files(url: str) -> None:
    """Have Postgres make the files of its log, and use them again and again, as it does where it has been at work.

    A new one is 16 MiB of zeros, for which all that commits waits; a fresh server would make one every second or two.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"ALTER SYSTEM SET min_wal_size = '{LOG_FILES * 16}MB'")
        await connection.execute("SELECT pg_reload_conf()")
        for _ in range(LOG_FILES):
            await connection.execute("SELECT pg_logical_emit_message(true, 'benchmark', 'fills a file')")
            await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def fill(url: str, books: Books, invoices: int) -> None:
    """Make the tables, with so many invoices of one company."""
    if books == "worker":
        await migrate(url)
    connection = await asyncpg.connect(url)
    try:
        if books == "worker":
            await put_policy(connection, Policy(company=COMPANY, currency="EUR"))
        else:
            await connection.execute(_PEERS_SCHEMA.read_text())
        owed = CAPITAL_MINOR, INTEREST_MINOR, NOTICEFEE_MINOR
        await connection.execute(_INVOICES[books], COMPANY, invoices, *owed)
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
