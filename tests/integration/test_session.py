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


async def begin(session: Session) -> None:
    async with session.transaction():
        await asyncio.Event().wait()
