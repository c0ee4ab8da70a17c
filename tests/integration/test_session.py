import asyncio
import contextlib

import asyncpg

from tests.places import Database
from worker.books.session import Session


async def test_a_begin_that_is_cut_off_does_not_swallow_what_comes_after_it(database: Database) -> None:
    """Else what the next transaction commits is a part of one that never ends."""
    async with Session(database.url, "test") as session:
        async with session.connection():
            pass  # connected: the next statement is the BEGIN
        begun = asyncio.create_task(begin(session))
        await asyncio.sleep(0)  # one turn of the loop: the BEGIN is sent, its answer has not been read
        begun.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await begun

        async with session.transaction() as connection:
            await connection.execute("CREATE TABLE committed ()")

        other = await asyncpg.connect(database.url)
        try:
            assert await other.fetchval("SELECT to_regclass('committed')") == "committed"
        finally:
            await other.close()


async def test_a_transaction_has_the_isolation_that_is_asked_for_and_else_the_servers(database: Database) -> None:
    async with Session(database.url, "test") as session:
        async with session.transaction(isolation="repeatable_read", readonly=True) as connection:
            assert await connection.fetchval("SHOW transaction_isolation") == "repeatable read"
            assert await connection.fetchval("SHOW transaction_read_only") == "on"
        async with session.transaction() as connection:
            assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
            assert await connection.fetchval("SHOW transaction_read_only") == "off"


async def begin(session: Session) -> None:
    async with session.transaction():
        await asyncio.Event().wait()
