"""What is still to be published: written with the payment, taken under a lock, deleted once it is confirmed."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
"""Rows of the outbox by id, in order, with their outcomes; None where the outcome is in the books alone."""


class Taken(NamedTuple):
    """A window of rows, locked."""

    rows: Sequence[tuple[int, StoredOutcome]]
    """What there is to publish, oldest first."""
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


def known_outcomes(ids: Sequence[tuple[int, UUID]], settlements: Sequence[Settlement]) -> Known:
    """Return the rows that have been written for the settlements: of each its id and its event's."""
    return {
        # Postgres does not promise to return rows in their order; what does not match is read when it is its turn.
        row_id: _settled_outcome(item) if event_id == item.event_id else None
        for (row_id, event_id), item in zip(ids, settlements, strict=True)
    }


async def take_oldest(connection: Connection, known: Known, after_id: int = 0) -> Taken:
    """Take the oldest rows after that one that no other relay is at; those known are not read again.

    At most RELAY_WINDOW_MESSAGES, and RELAY_WINDOW_BYTES_MAX of what is read, unless it is but one row. They stay
    locked in the transaction.
    """
    locked = await connection.fetch(query("lock_oldest_outbox"), after_id, RELAY_WINDOW_MESSAGES)
    return await _taken(connection, [row["id"] for row in locked], known)


async def take_known(connection: Connection, known: Known) -> Taken:
    """Take these rows, but for those that are gone or that another relay is at. They stay locked."""
    locked = await connection.fetch(query("lock_outbox"), list(known))
    return await _taken(connection, [row["id"] for row in locked], known)


async def delete_outbox(connection: Connection, ids: Iterable[int]) -> None:
    """Delete the rows whose events have been confirmed."""
    await connection.execute(query("delete_outbox"), list(ids))


async def _taken(connection: Connection, ids: Sequence[int], known: Known) -> Taken:
    unknown = [row_id for row_id in ids if known.get(row_id) is None]
    rows = await connection.fetch(query("read_outbox"), unknown, RELAY_WINDOW_BYTES_MAX) if unknown else []
    read = {row["id"]: _stored_outcome(row) for row in rows}
    whole: list[tuple[int, StoredOutcome]] = []
    for row_id in ids:
        outcome = known.get(row_id) or read.get(row_id)
        if outcome is None:
            break
        whole.append((row_id, outcome))
    left = frozenset(ids[len(whole) :])
    return Taken(whole, left, bool(left) or len(ids) == RELAY_WINDOW_MESSAGES)


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
