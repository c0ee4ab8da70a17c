"""What each role may do in the books: a file a role under rights/, granted anew by every setup.

An administrator makes the roles once (deploy/postgres/roles.sql). Where they are, no table of a later release lacks its
rights, and a right that a release no longer needs is taken back.
"""

import asyncpg

from worker.books.migrate import MIGRATION_LOCK
from worker.books.sql import RIGHTS, query

RUN = "payment_worker_run"
"""The role that a worker's login is a member of."""


def rights() -> dict[str, str]:
    """Return the roles' names and the statements that grant each its rights."""
    return {entry.name.removesuffix(".sql"): entry.read_text() for entry in RIGHTS.iterdir()}


async def grant_rights(dsn: str) -> list[str]:
    """Grant the roles that the server has what they need, and nothing else; return them. PUBLIC gets nothing.

    It is one transaction: a worker that is at work never lacks a right. Where the server has none of the roles, nothing
    is changed. Safe to repeat, and for several at once.
    """
    granted = rights()
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "payment-worker setup"})
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            there = [row["rolname"] for row in await connection.fetch(query("roles_there"), list(granted))]
            if there:
                for row in await connection.fetch(query("revocations"), there):
                    await connection.execute(row["statement"])
            for role in there:
                await connection.execute(granted[role])
            return there
    finally:
        await connection.close()
