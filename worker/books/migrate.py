"""Brings a database to the schema of this release: plain SQL files, forward only, each applied once and whole."""

import hashlib
from dataclasses import dataclass

import asyncpg

from worker.books.sql import MIGRATIONS, query
from worker.domain.errors import PermanentError
from worker.limits import MIGRATION_LOCK_TIMEOUT_MS

MIGRATION_LOCK: int = 0x7061796D656E7473
"""The advisory lock ("payments" in ASCII) under which one process migrates while others wait."""

ENCODINGS = ("UTF8", "SQL_ASCII")
"""What a database may be encoded in: SQL_ASCII holds all texts as they come, any other lacks some."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: 0001_name.sql."""

    version: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the files of this release in their order."""
    found = [entry for entry in MIGRATIONS.iterdir() if entry.name.endswith(".sql")]
    return [
        Migration(entry.name.removesuffix(".sql"), entry.read_text()) for entry in sorted(found, key=lambda e: e.name)
    ]


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing and return its versions. Safe to repeat, and for several at once, while workers run.

    Raises PermanentError where an applied file has been changed since, and where the database cannot hold every text.
    """
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "payment-worker setup"})
    try:
        if lack := encoding_lack(connection):
            raise PermanentError(lack)
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await connection.execute(query("create_migrations"))
        applied = {row["version"]: row["checksum"] for row in await connection.fetch(query("applied_migrations"))}
        missing = []
        for migration in migrations():
            if migration.version not in applied:
                await _apply(connection, migration)
                missing.append(migration.version)
            elif applied[migration.version] != migration.checksum:
                raise PermanentError(
                    f"migration {migration.version} is not the file that was applied: restore the file"
                )
        return missing
    finally:
        await connection.close()


def encoding_lack(connection: asyncpg.Connection) -> str | None:
    """Say what is wrong with the encoding of the database, or nothing."""
    encoding = connection.get_settings().server_encoding
    if encoding in ENCODINGS:
        return None
    return (
        f"the database is encoded in {encoding}, which cannot hold every text of a payment: "
        "create one with ENCODING 'UTF8' TEMPLATE template0, and name it in PAYMENT_WORKER_DATABASE_URL"
    )


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {MIGRATION_LOCK_TIMEOUT_MS}")
        await connection.execute(migration.sql)
        await connection.execute(query("record_migration"), migration.version, migration.checksum)
