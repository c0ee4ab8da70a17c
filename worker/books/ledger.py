"""The one transaction: look the keys up, lock the invoices, let the rules decide, write all of it or nothing.

Keys are looked up without a lock and written last. Where another worker has taken one in between, the write comes up
short and the whole batch is undone and tried again. That way each payment is written once, with its verdict, instead of
being claimed first and updated later.
"""

from collections.abc import Iterable, Mapping, Sequence

from uuid_utils.compat import uuid7

from schemas.outcome import Status
from worker.books.batch import Batch
from worker.books.payments import write_payments
from worker.books.pending import awaited_name
from worker.books.reading import read_view
from worker.books.rows import columns, document
from worker.books.session import Connection, Session
from worker.books.sql import query
from worker.books.wallets import draw
from worker.domain.message import ReturnAddress
from worker.domain.policy import Policy
from worker.domain.request import Request
from worker.domain.settlement import Settled, Settlement, settle
from worker.domain.verdict import LineVerdict
from worker.domain.view import Moment
from worker.turns import Turn


async def settle_batch(
    session: Session,
    requests: Sequence[Request],
    policies: Mapping[str, Policy],
    moment: Moment,
    turn: Turn | None = None,
) -> list[Settlement]:
    """Settle the requests in their order in one transaction and return what was committed.

    With a turn, its events are written to the outbox, and all is committed, after the batch before.

    Raises ContendedError where another worker wrote the same key first, and as Session.transaction() does. Whatever is
    raised, nothing was written, except for an UnavailableError on COMMIT, after which nobody knows.
    """
    async with session.transaction() as connection:
        view = await read_view(connection, requests, policies)
        if turn is not None:
            turn.note_locked()
        held_before = dict(view.held)
        settlements = settle(requests, view, policies, moment, uuid7)
        if settlements:
            batch = Batch(settlements, held_before, view, policies, moment)
            await _write(connection, batch)
            if turn is not None:
                await turn.may_commit()
            await _write_outbox(connection, batch)
    return settlements


async def _write(connection: Connection, batch: Batch) -> None:
    await write_payments(connection, batch)
    await _write_allocations(connection, batch)
    draws = [(item.verdict.wallet_id, item.verdict.amount_minor) for item in batch.moved]
    await draw(connection, [(wallet_id, amount) for wallet_id, amount in draws if wallet_id is not None])
    await _write_outcomes(connection, batch)
    await _write_pending(connection, batch)


async def _write_allocations(connection: Connection, batch: Batch) -> None:
    rows = [
        (item.payment_id, number, *entry)
        for item in batch.moved
        for number, line in enumerate(item.verdict.lines, start=1)
        for entry in _entries(line)
    ]
    if rows:
        await connection.execute(query("insert_allocations"), *columns(rows), batch.moment.now)


def _entries(line: LineVerdict) -> Iterable[tuple[object, ...]]:
    """Return the entries of a line: its part of the payment, and what was written off beside it."""
    if line.invoice is None:
        return
    references = document(dict(line.line.references)) if line.line.references else None
    yield "payment", line.invoice.id, line.amount_minor, *line.allocation, references
    if line.written_off.total:
        yield "tolerance", line.invoice.id, line.written_off.total, *line.written_off, None


async def _write_outcomes(connection: Connection, batch: Batch) -> None:
    rows = [
        (
            item.event_id,
            item.request.company,
            item.payment_id,
            item.request.key,
            item.request.source.message_type,
            item.verdict.status.value,
            item.body,
        )
        for item in batch.settled
    ]
    if rows:
        await connection.execute(query("insert_outcomes"), *columns(rows), batch.moment.now)


async def _write_outbox(connection: Connection, batch: Batch) -> None:
    rows = [
        (item.event_id, not isinstance(item, Settled), *_address_row(item.request.return_address))
        for item in batch.settlements
    ]
    await connection.execute(query("insert_outbox"), *columns(rows))


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
            *_address_row(item.request.return_address),
        )
        for item in batch.final.values()
        if item.wake_at is not None
    ]
    if undone:
        await connection.executemany(query("upsert_pending"), undone)
    cancelled = [held for name in batch.newly_cancelled if (held := batch.view.held[name]).status is Status.UNDONE]
    if cancelled:
        await connection.execute(query("wake_cancelled"), [held.payment_id for held in cancelled], batch.moment.now)


def _address_row(address: ReturnAddress) -> tuple[str | None, ...]:
    return address.correlation_id, address.reply_to, address.traceparent, address.tracestate
