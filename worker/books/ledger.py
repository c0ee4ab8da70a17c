"""The one transaction: look the keys up, lock the invoices, let the rules decide, write all of it or nothing.

Keys are looked up without a lock and written last. Where another worker has taken one in between, the write comes up
short and the whole batch is undone and tried again. That way each payment is written once, with its verdict, instead of
being claimed first and updated later.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from uuid_utils.compat import uuid7

from schemas.outcome import Status
from worker.books.batch import Batch
from worker.books.outbox import Written, address_row, outbox_rows, written_outcomes
from worker.books.payments import change_payments, expect_rows, hold_payments, new_payments
from worker.books.pending import awaited_name
from worker.books.reading import read_view
from worker.books.rows import document
from worker.books.session import Connection, Session
from worker.books.sql import query
from worker.books.wallets import draw
from worker.domain.policy import Policy
from worker.domain.request import Request
from worker.domain.settlement import Settlement, settle
from worker.domain.verdict import LineVerdict
from worker.domain.view import Moment
from worker.turns import Turn


class Committed(NamedTuple):
    """What a batch came to, and its rows in the outbox."""

    settlements: Sequence[Settlement]
    outbox: Written


async def settle_batch(
    session: Session,
    requests: Sequence[Request],
    policies: Mapping[str, Policy],
    moment: Moment,
    turn: Turn | None = None,
    relay: int | None = None,
) -> Committed:
    """Settle the requests in their order in one transaction and return what was committed.

    With a turn, all is committed after the batch before. relay: whose the rows of the outbox are as long as it lives;
    without one, whoever's finds them.

    Raises ContendedError where another worker wrote the same key first, and as Session.transaction() does. Whatever is
    raised, nothing was written, except for an UnavailableError on COMMIT, after which nobody knows.
    """
    async with session.transaction() as connection:
        view = await read_view(connection, requests, policies)
        if turn is not None:
            turn.note_locked()
        settlements, after = settle(requests, view, policies, moment, uuid7)
        outbox: Written = {}
        if settlements:
            batch = Batch(settlements, view.held, after.held, policies, moment)
            outbox = await _write(connection, batch, relay)
        if turn is not None:
            await turn.may_commit()
    return Committed(settlements, outbox)


async def _write(connection: Connection, batch: Batch, relay: int | None) -> Written:
    await hold_payments(connection, batch)
    payments = new_payments(batch)
    written = await connection.fetch(
        query("write_batch"),
        batch.moment.now,
        payments,
        _allocation_rows(batch),
        _outcome_rows(batch),
        outbox_rows(batch.settlements),
        relay,
    )
    expect_rows(written[0]["payments"], len(payments))
    await change_payments(connection, batch)
    draws = [(item.verdict.wallet_id, item.verdict.amount_minor) for item in batch.moved]
    await draw(connection, [(wallet_id, amount) for wallet_id, amount in draws if wallet_id is not None])
    await _write_pending(connection, batch)
    return written_outcomes([row["id"] for row in written], batch.settlements)


def _allocation_rows(batch: Batch) -> list[tuple[object, ...]]:
    return [
        (item.payment_id, number, *entry)
        for item in batch.moved
        for number, line in enumerate(item.verdict.lines, start=1)
        for entry in _entries(line)
    ]


def _entries(line: LineVerdict) -> Iterable[tuple[object, ...]]:
    """Return the entries of a line: its part of the payment, and what was written off beside it."""
    if line.invoice is None:
        return
    references = document(dict(line.line.references)) if line.line.references else None
    yield "payment", line.invoice.id, line.amount_minor, *line.allocation, references
    if line.written_off.total:
        yield "tolerance", line.invoice.id, line.written_off.total, *line.written_off, None


def _outcome_rows(batch: Batch) -> list[tuple[object, ...]]:
    return [
        (
            item.event_id,
            item.request.company,
            item.payment_id,
            item.request.key,
            item.request.source.message_type,
            item.verdict.status.value,
            item.body,
            item.request.return_address.correlation_id,
        )
        for item in batch.settled
    ]


async def _write_pending(connection: Connection, batch: Batch) -> None:
    """Write down what is left undone, forget what is undone no more, and wake what was cancelled for its last event."""
    done = [
        item.payment_id
        for name, item in batch.final.items()
        if item.wake_at is None and batch.held_before[name].status is Status.UNDONE
    ]
    if done:
        await connection.execute(query("delete_pending"), done)
    undone = [
        (
            item.payment_id,
            item.awaited_since,
            item.wake_at,
            [awaited_name(item.request.company, identifier) for identifier in item.awaits],
            item.request.body,
            *address_row(item.request.return_address),
        )
        for item in batch.final.values()
        if item.wake_at is not None
    ]
    if undone:
        await connection.executemany(query("upsert_pending"), undone)
    cancelled = [held for name in batch.newly_cancelled if (held := batch.held_after[name]).status is Status.UNDONE]
    if cancelled:
        await connection.execute(query("wake_cancelled"), [held.payment_id for held in cancelled], batch.moment.now)
