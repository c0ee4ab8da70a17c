"""Outcome events as they were written, to be published again or shown."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from worker.books.outbox import StoredOutcome
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.message import ReturnAddress


class Position(NamedTuple):
    """Where in a company's outcomes a page ended. With no id yet: where the first begins."""

    occurred_at: datetime
    event_id: UUID = UUID(int=0)


async def read_outcomes(
    connection: Connection, company: str, after: Position, until: datetime, rows_max: int
) -> tuple[list[StoredOutcome], Position]:
    """Return the company's next outcomes after that position and before that time, oldest first, and where they end."""
    rows = await connection.fetch(query("read_outcomes"), company, *after, until, rows_max)
    outcomes = [
        StoredOutcome(
            event_id=row["event_id"],
            company=company,
            idempotency_key=row["idempotency_key"],
            source=row["source"],
            statusid=row["statusid"],
            body=row["body"],
            replayed=True,
            return_address=ReturnAddress(row["correlation_id"]),
        )
        for row in rows
    ]
    return outcomes, Position(rows[-1]["occurred_at"], rows[-1]["event_id"]) if rows else after
