"""What is still to be published: taken under a lock, deleted once it is confirmed."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from schemas.limits import OUTCOME_BYTES_MAX
from schemas.value import Value
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.message import NOWHERE, ReturnAddress
from worker.limits import RELAY_WINDOW_BYTES_MAX, RELAY_WINDOW_MESSAGES


class StoredOutcome(Value, frozen=True, kw_only=True):
    """An outcome event as it was written, and what its message carries beside the body."""

    event_id: UUID
    company: str
    idempotency_key: str
    source: str
    statusid: int
    body: bytes
    replayed: bool
    return_address: ReturnAddress = NOWHERE


Taken: TypeAlias = tuple[int, StoredOutcome]
"""A row of the outbox by its id."""


async def take_outbox(connection: Connection, after_id: int = 0) -> list[Taken]:
    """Return the oldest rows after that one that no other relay is at, by id. They stay locked in the transaction.

    At most RELAY_WINDOW_MESSAGES, and RELAY_WINDOW_BYTES_MAX unless there is but one.
    """
    rows = await connection.fetch(query("take_outbox"), after_id, RELAY_WINDOW_MESSAGES, RELAY_WINDOW_BYTES_MAX)
    return [(row["id"], _outcome(row)) for row in rows]


def may_be_more(taken: Sequence[Taken]) -> bool:
    """Say whether the window may have been cut, by its rows or by its bytes. If not, nothing else was to be taken."""
    body_bytes = sum(len(outcome.body) for _, outcome in taken)
    return len(taken) == RELAY_WINDOW_MESSAGES or body_bytes + OUTCOME_BYTES_MAX > RELAY_WINDOW_BYTES_MAX


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
