"""A connection to the real Postgres that outlives the simulated ones which use it, one after another.

It is always in a transaction, chained to the one before, so that BEGIN costs no round trip; and the end of one in which
nothing was touched costs none either. To what is seen and locked it makes no difference: READ COMMITTED looks anew at
each statement.
"""

from typing import Any, Self

import asyncpg

SETTINGS = {
    "application_name": "simulation",
    "timezone": "UTC",
    "synchronous_commit": "off",  # this server is not killed
    "deadlock_timeout": "1min",  # who waits for a lock times out in virtual time, before Postgres looks for deadlocks
    "jit": "off",
    "enable_seqscan": "off",  # plans are made while the tables are empty, and kept while they grow
}


class ServerConnection:
    @classmethod
    async def open(cls, url: str) -> Self:
        driver = await asyncpg.connect(url, server_settings=SETTINGS, max_cached_statement_lifetime=0)
        await driver.execute("BEGIN")
        return cls(driver)

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver
        self._is_touched = False
        """Something has been locked, written, or gone wrong since the last transaction."""
        self._has_claimed = False
        self.pid = driver.get_server_pid()

    @property
    def has_work(self) -> bool:
        return self._is_touched or self._has_claimed

    async def begin(self) -> None:
        await self.roll_back()

    async def commit(self) -> None:
        await self._end("COMMIT AND CHAIN")

    async def roll_back(self) -> None:
        await self._end("ROLLBACK AND CHAIN")

    async def give_back(self) -> None:
        """Undo all that ends with a connection."""
        await self.roll_back()
        if self._has_claimed:
            await self._driver.execute("SELECT pg_advisory_unlock_all()")
            self._has_claimed = False

    async def _end(self, sql: str) -> None:
        if self._is_touched:
            await self._driver.execute(sql)
            self._is_touched = False

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        was_touched, self._is_touched = self._is_touched, True
        self._has_claimed |= "pg_try_advisory_lock(" in sql
        rows = await self._driver.fetch(sql, *args)
        self._is_touched = was_touched or bool(rows)
        return rows

    async def execute(self, sql: str, *args: Any) -> str:
        self._is_touched = True
        return await self._driver.execute(sql, *args)

    async def executemany(self, sql: str, rows: list[Any]) -> None:
        self._is_touched = True
        await self._driver.executemany(sql, rows)

    async def close(self) -> None:
        await self._driver.close()

    def terminate(self) -> None:
        self._driver.terminate()
