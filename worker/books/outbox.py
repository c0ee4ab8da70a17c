"""What is still to be published: written with the payment, deleted once it is confirmed.

A relay has a number, which its worker writes with each row, and which is locked as long as the relay's session lives.
So its rows are its own, and are published without being locked. All others are taken under a lock.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from schemas.value import Value
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.message import NOWHERE, ReturnAddress
from worker.domain.settlement import Replayed, Settlement
from worker.limits import RELAY_IDLE_TIMEOUT_MS, RELAY_WINDOW_BYTES_MAX, RELAY_WINDOW_MESSAGES


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


RELAY_LOCK: int = 0x6F757462
"""The first half of the advisory locks ("outb" in ASCII) of the relays' numbers."""

Known: TypeAlias = Mapping[int, StoredOutcome | None]
"""Rows of the outbox by id, in the order of their being committed; None where the outcome is in the books alone."""
Written: TypeAlias = Mapping[int, StoredOutcome | Replayed]
"""Rows that a batch has written, in their order: its outcomes, and what tells an earlier one again."""


class Taken(NamedTuple):
    """A window of rows that no other relay takes."""

    rows: Sequence[tuple[int, StoredOutcome]]
    """What there is to publish, by id. A row whose event is gone is passed over."""
    left: AbstractSet[int]
    """What comes after it, and was too long to be read together with it."""
    may_be_more: bool
    """False where there was nothing else to take."""


def outbox_rows(settlements: Sequence[Settlement]) -> list[tuple[object, ...]]:
    """Return a row for each of the settlements, as write_batch.sql takes it."""
    return [
        (item.event_id, isinstance(item, Replayed), *address_row(item.request.return_address)) for item in settlements
    ]


def written_outcomes(ids: Sequence[int], settlements: Sequence[Settlement]) -> Written:
    """Return the rows that have been written for the settlements, in their order."""
    return {row_id: _settled_outcome(item) for row_id, item in zip(ids, settlements, strict=True)}


async def claim_outbox(connection: Connection) -> int:
    """Return a number for a relay that works on this session: its own until the server ends the session."""
    while True:
        relay = await connection.fetchval(query("claim_outbox"), RELAY_LOCK, str(RELAY_IDLE_TIMEOUT_MS))
        if relay is not None:
            return int(relay)


async def take_oldest(connection: Connection, relay: int, known: Known, after_id: int = 0) -> Taken:
    """Take the oldest rows after that one that are not another living relay's; those known are not read again.

    At most RELAY_WINDOW_MESSAGES and RELAY_WINDOW_BYTES_MAX, unless it is but one row. They stay locked in the
    transaction.
    """
    locked = await connection.fetch(query("lock_oldest_outbox"), after_id, RELAY_WINDOW_MESSAGES, RELAY_LOCK, relay)
    outcomes = {
        row["id"]: outcome
        for row in locked
        # In books that were put back to an earlier state an id can stand for another event than the one noted.
        if (outcome := known.get(row["id"])) is not None and outcome.event_id == row["event_id"]
    }
    ids = [row["id"] for row in locked]
    return await _completed(connection, ids, outcomes)


async def take_own(connection: Connection, known: Known) -> Taken:
    """Take these rows of the relay's own, reading what is not known of them. A row that is gone is passed over."""
    outcomes = {row_id: outcome for row_id, outcome in known.items() if outcome is not None}
    return await _completed(connection, sorted(known), outcomes)


async def delete_outbox(connection: Connection, rows: Sequence[tuple[int, StoredOutcome]]) -> None:
    """Delete the rows whose events have been confirmed."""
    ids, events = [row_id for row_id, _ in rows], [outcome.event_id for _, outcome in rows]
    await connection.execute(query("delete_outbox"), ids, events)


async def release_outbox(connection: Connection, ids: Sequence[int]) -> None:
    """Leave the rows, which a queue has refused, to whichever relay finds them."""
    await connection.execute(query("release_outbox"), list(ids))


async def _completed(connection: Connection, ids: Sequence[int], outcomes: dict[int, StoredOutcome]) -> Taken:
    """Return the first of the rows with their outcomes, reading those that lack. The ids are in their order."""
    unknown = [row_id for row_id in ids if row_id not in outcomes]
    read = await connection.fetch(query("read_outbox"), unknown, RELAY_WINDOW_BYTES_MAX) if unknown else []
    outcomes |= {row["id"]: _stored_outcome(row) for row in read if row["body"] is not None}
    # What was too long to be read ends the window, so that nothing is told before what comes before it. It comes after
    # all that was read; what lacks before that is gone.
    last = read[-1]["id"] if read else ids[-1] if ids else 0
    unread = {row_id for row_id in unknown if row_id > last}
    window: list[int] = []
    window_bytes = 0
    for row_id in ids:
        row_bytes = len(outcomes[row_id].body) if row_id in outcomes else 0
        window_bytes += row_bytes
        if row_id in unread or window_bytes > max(row_bytes, RELAY_WINDOW_BYTES_MAX):
            break
        window.append(row_id)
    rows = [(row_id, outcomes[row_id]) for row_id in window if row_id in outcomes]
    left = frozenset(ids[len(window) :])
    return Taken(rows, left, may_be_more=bool(left) or (bool(rows) and len(ids) == RELAY_WINDOW_MESSAGES))


def address_row(address: ReturnAddress) -> tuple[str | None, ...]:
    """Return the columns of a return address."""
    return address.correlation_id, address.reply_to, address.traceparent, address.tracestate


def _settled_outcome(item: Settlement) -> StoredOutcome | Replayed:
    if isinstance(item, Replayed):
        return item
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
