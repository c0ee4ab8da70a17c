import asyncio
import contextlib

import pytest

from tests.faults.proxy import Proxy
from tests.places import Database
from tests.site import DEADLINE_S
from worker.books.session import Session
from worker.domain.errors import UnavailableError


async def test_a_begin_that_is_cut_off_does_not_swallow_what_comes_after_it(database: Database) -> None:
    """Else what the next transaction commits is a part of one that never ends."""
    async with Proxy(f"{database.url}?sslmode=disable") as proxy, Session(proxy.url, "test") as session:
        async with session.connection():
            pass  # connected: the next statement is the BEGIN
        proxy.hold_answers()
        begun = asyncio.create_task(begin(session))
        await asyncio.wait_for(proxy.holds.wait(), DEADLINE_S)
        begun.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await begun

        proxy.heal()
        await create_table(session)
        assert await is_committed(database)


async def test_a_transaction_has_the_isolation_that_is_asked_for_and_else_the_servers(database: Database) -> None:
    async with Session(database.url, "test") as session:
        async with session.transaction(isolation="repeatable_read", readonly=True) as connection:
            assert await connection.fetchval("SHOW transaction_isolation") == "repeatable read"
            assert await connection.fetchval("SHOW transaction_read_only") == "on"
        async with session.transaction() as connection:
            assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
            assert await connection.fetchval("SHOW transaction_read_only") == "off"


async def test_no_transaction_begins_inside_of_one_that_has_not_ended(database: Database) -> None:
    """It would be a savepoint in it, and be gone with it."""
    begun = asyncio.Event()
    async with Session(database.url, "test") as session:
        lingering = asyncio.create_task(begin(session, begun))
        await asyncio.wait_for(begun.wait(), DEADLINE_S)
        with pytest.raises(UnavailableError, match="given up"):
            await create_table(session)
        await create_table(session)
        assert await is_committed(database)
        lingering.cancel()
        await asyncio.wait([lingering])


async def create_table(session: Session) -> None:
    async with session.transaction() as connection:
        await connection.execute("CREATE TABLE committed ()")


async def is_committed(database: Database) -> bool:
    async with Session(database.url, "other") as other, other.connection() as connection:
        return bool(await connection.fetchval("SELECT to_regclass('committed') IS NOT NULL"))


async def begin(session: Session, begun: asyncio.Event | None = None) -> None:
    async with session.transaction() as connection:
        if begun is not None:
            await connection.execute("SELECT 1")
            begun.set()
        await asyncio.Event().wait()
