"""The payments' rows, which are the inbox too: written once with their verdict, or again while they are not booked."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from schemas.outcome import Status
from schemas.registration import SettledBy
from worker.books.batch import Batch
from worker.books.rows import columns, document
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.errors import ContendedError
from worker.domain.request import Request
from worker.domain.settlement import Settled
from worker.domain.verdict import Reason
from worker.domain.view import Moment, PaymentName


class Row(NamedTuple):
    """A payment as insert_payments.sql and update_payments.sql take it."""

    id: int
    company: str
    idempotency_key: str
    source: str
    statusid: int
    reason: str
    currency: str
    fingerprint: bytes | None = None
    amount: int = 0
    unfocused: int = 0
    surcharge: int = 0
    paydate: date | None = None
    payment_type: str | None = None
    settled_by: SettledBy = "money"
    wallet: int | None = None
    event_id: UUID | None = None
    is_cancelled: bool = False
    cancels: int | None = None
    details: str | None = None


async def write_payments(connection: Connection, batch: Batch) -> None:
    """Write the payments of a batch, and mark those that its cancellations name.

    Raises ContendedError where another worker has written one of them meanwhile.
    """
    before = batch.held_before
    awaited, known = _marks(batch)
    new = [_row(item, batch) for name, item in batch.final.items() if before[name].status is None]
    await _insert(connection, [*new, *awaited], batch.moment)
    judged_anew = [
        (*_row(item, batch), before[name].event_id, before[name].is_cancelled)
        for name, item in batch.final.items()
        if before[name].status is not None
    ]
    if judged_anew:
        *row, seen_event_ids, seen_cancelled = columns(judged_anew)
        tag = await connection.execute(query("update_payments"), *row, batch.moment.now, seen_event_ids, seen_cancelled)
        _expect(tag, len(judged_anew))
    if known:
        marks = [(before[name].payment_id, before[name].event_id) for name in known]
        _expect(await connection.execute(query("mark_cancelled"), *columns(marks), batch.moment.now), len(marks))


async def _insert(connection: Connection, rows: Sequence[Row], moment: Moment) -> None:
    if rows:
        _expect(await connection.execute(query("insert_payments"), *columns(rows), moment.now), len(rows))


def _row(item: Settled, batch: Batch) -> Row:
    request, verdict, terms = item.request, item.verdict, item.terms
    details = _details(request)
    return Row(
        id=item.payment_id,
        company=request.company,
        idempotency_key=request.key,
        source=request.source.message_type,
        statusid=verdict.status,
        reason=verdict.reason,
        currency=terms.currency,
        fingerprint=request.fingerprint,
        amount=verdict.amount_minor,
        unfocused=verdict.unfocused,
        surcharge=verdict.surcharge_minor,
        paydate=terms.paydate,
        payment_type=terms.payment_type,
        settled_by=terms.settled_by or "money",
        wallet=verdict.wallet_id,
        event_id=item.event_id,
        is_cancelled=batch.view.held[request.identity].is_cancelled,
        cancels=verdict.cancels.payment_id if verdict.is_cancellation and verdict.cancels is not None else None,
        details=document(details) if details else None,
    )


def _details(request: Request) -> dict[str, str | None]:
    """Return what the message says beside what has a column: kept for people, and read by no rule."""
    if request.cancellation is not None:
        return {"reason": request.cancellation.why} if request.cancellation.why is not None else {}
    if request.registration is None:
        return {}
    method = request.registration.method
    return {**request.registration.details, **({"method": method} if method is not None else {})}


def _marks(batch: Batch) -> tuple[list[Row], list[PaymentName]]:
    """Return rows for the payments that were cancelled before they came, and the names of those that are there.

    The row keeps every worker from booking such a payment: its key is taken, as by a payment.
    """
    sources = {
        (item.request.company, item.request.cancellation.payment_key): item.request.source.message_type
        for item in batch.settled
        if item.request.cancellation is not None
    }
    marked = [name for name in batch.newly_cancelled if name not in batch.final]
    awaited = [
        Row(
            id=batch.held_before[name].payment_id,
            company=name[0],
            idempotency_key=name[1],
            source=sources[name],
            statusid=Status.CANCELLED,
            reason=Reason.PAYMENT_CANCELLED,
            currency=batch.policies[name[0]].currency,
            is_cancelled=True,
        )
        for name in marked
        if batch.held_before[name].status is None
    ]
    return awaited, [name for name in marked if batch.held_before[name].status is not None]


def _expect(command_tag: str, rows: int) -> None:
    if int(command_tag.rpartition(" ")[2]) != rows:
        raise ContendedError("another worker wrote one of the payments first")
