"""What is still to be published: written with the payment, taken under a lock, deleted once it is confirmed."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import takewhile
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from schemas.value import Value
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.message import NOWHERE, ReturnAddress
from worker.domain.settlement import Settled, Settlement
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


Known: TypeAlias = Mapping[int, StoredOutcome | None]
"""Rows of the outbox by id, in the order of their being committed; None where the outcome is in the books alone."""


class Taken(NamedTuple):
    """A window of rows, locked."""

    rows: Sequence[tuple[int, StoredOutcome]]
    """What there is to publish, by id. A row whose event is gone is passed over."""
    left: AbstractSet[int]
    """What comes after it, and was too long to be read together with it."""
    may_be_more: bool
    """False where there was nothing else to take."""


def outbox_rows(settlements: Sequence[Settlement]) -> list[tuple[object, ...]]:
    """Return a row for each of the settlements, as write_batch.sql takes it."""
    return [
        (item.event_id, not isinstance(item, Settled), *address_row(item.request.return_address))
        for item in settlements
    ]


def known_outcomes(ids: Sequence[int], settlements: Sequence[Settlement]) -> Known:
    """Return the rows that have been written for the settlements, in their order."""
    return {row_id: _settled_outcome(item) for row_id, item in zip(ids, settlements, strict=True)}


async def take_oldest(connection: Connection, known: Known, after_id: int = 0) -> Taken:
    """Take the oldest rows after that one that no other relay is at; those known are not read again.

    At most RELAY_WINDOW_MESSAGES, and RELAY_WINDOW_BYTES_MAX of what is read, unless it is but one row. They stay
    locked in the transaction.
    """
    locked = await connection.fetch(query("lock_oldest_outbox"), after_id, RELAY_WINDOW_MESSAGES)
    return await _taken(connection, locked, known)


async def take_known(connection: Connection, known: Known) -> Taken:
    """Take these rows, but for those that are gone or that another relay is at. They stay locked."""
    locked = await connection.fetch(query("lock_outbox"), list(known))
    return await _taken(connection, locked, known)


async def delete_outbox(connection: Connection, ids: Iterable[int]) -> None:
    """Delete the rows whose events have been confirmed."""
    await connection.execute(query("delete_outbox"), list(ids))


async def _taken(connection: Connection, locked: Sequence[Any], known: Known) -> Taken:
    ids = [row["id"] for row in locked]
    outcomes = {
        row["id"]: outcome
        for row in locked
        # An id can stand for another event than the one noted: in books that were put back to an earlier state, or
        # where Postgres returned the ids in another order than that of the rows, which it may.
        if (outcome := known.get(row["id"])) is not None and outcome.event_id == row["event_id"]
    }
    unknown = [row_id for row_id in ids if row_id not in outcomes]
    read = await connection.fetch(query("read_outbox"), unknown, RELAY_WINDOW_BYTES_MAX) if unknown else []
    outcomes |= {row["id"]: _stored_outcome(row) for row in read if row["body"] is not None}
    # What was too long to be read ends the window, so that nothing is told before what comes before it.
    unread = set(unknown) - {row["id"] for row in read}
    window = list(takewhile(lambda row_id: row_id not in unread, ids))
    rows = [(row_id, outcomes[row_id]) for row_id in window if row_id in outcomes]
    left = frozenset(ids[len(window) :])
    return Taken(rows, left, may_be_more=bool(left) or (bool(rows) and len(ids) == RELAY_WINDOW_MESSAGES))


def address_row(address: ReturnAddress) -> tuple[str | None, ...]:
    """Return the columns of a return address."""
    return address.correlation_id, address.reply_to, address.traceparent, address.tracestate


def _settled_outcome(item: Settlement) -> StoredOutcome | None:
    """Return what is to be published, unless it is an earlier event that the books alone know."""
    if not isinstance(item, Settled):
        return None
    request = item.request
    return StoredOutcome(
        event_id=item.event_id,
        company=request.company,
        idempotency_key=request.key,
        source=request.source.message_type,
        statusid=item.verdict.status.value,
        body=item.body,
        replayed=False,
        return_address=request.return_address,
    )


def _stored_outcome(row: Any) -> StoredOutcome:
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
