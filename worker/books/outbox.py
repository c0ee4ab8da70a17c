"""What is still to be published: taken under a lock, deleted once it is confirmed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.message import NOWHERE, ReturnAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOutcome:
    """An outcome event as it was written, and what its message carries beside the body."""

    event_id: UUID
    company: str
    idempotency_key: str
    source: str
    statusid: int
    body: bytes
    replayed: bool
    return_address: ReturnAddress = NOWHERE


async def take_outbox(connection: Connection, rows_max: int) -> list[tuple[int, StoredOutcome]]:
    """Return the oldest rows that no other relay is at, by id; they stay locked until the transaction ends."""
    rows = await connection.fetch(query("take_outbox"), rows_max)
    return [(row["id"], _outcome(row)) for row in rows]


async def delete_outbox(connection: Connection, ids: Iterable[int]) -> None:
    """Delete the rows whose events have been confirmed."""
    await connection.execute(query("delete_outbox"), list(ids))


def _outcome(row: Any) -> StoredOutcome:
    return StoredOutcome(
        event_id=row["event_id"],
        company=row["company"],
        idempotency_key=row["idempotency_key"],
        source=row["source"],
        statusid=row["statusid"],
        body=row["body"],
        replayed=row["replayed"],
        return_address=ReturnAddress(row["correlation_id"], row["reply_to"], row["traceparent"], row["tracestate"]),
    )
