"""The payments' rows, which are the inbox too: written once with their verdict, or again while they are not booked."""

from datetime import date
from operator import attrgetter
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


class Row(NamedTuple):
    """A payment as write_batch.sql and update_payments.sql take it."""

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


def new_payments(batch: Batch) -> list[Row]:
    """Return the payments of a batch that the books do not hold, and those that its cancellations came before.

    They are in one order for all workers: of two that write the same keys, one waits for the other.
    """
    new = [_row(item, batch) for name, item in batch.final.items() if name not in batch.judged_anew]
    return sorted(new + _awaited_rows(batch), key=attrgetter("company", "idempotency_key"))


async def hold_payments(connection: Connection, batch: Batch) -> None:
    """Lock the payments that are to be changed: nothing may be booked by what is no longer so.

    Raises ContendedError where another worker has been at one of them since it was read.
    """
    changed = [batch.held_before[name] for name in (*batch.judged_anew, *batch.marked)]
    if changed:
        seen = columns([(held.payment_id, held.event_id, held.is_cancelled) for held in changed])
        expect_rows(await connection.fetchval(query("hold_payments"), *seen), len(changed))


async def change_payments(connection: Connection, batch: Batch) -> None:
    """Write the payments that were judged anew, and mark those that cancellations name. They are held."""
    rows = [_row(item, batch) for item in batch.judged_anew.values()]
    if rows:
        await connection.execute(query("update_payments"), rows, batch.moment.now)
    if batch.marked:
        ids = [batch.held_before[name].payment_id for name in batch.marked]
        await connection.execute(query("mark_cancelled"), ids, batch.moment.now)


def expect_rows(found: int, wanted: int) -> None:
    """Raise ContendedError where some of the payments are another worker's by now."""
    if found != wanted:
        raise ContendedError("another worker wrote one of the payments first")


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
        is_cancelled=batch.held_after[request.identity].is_cancelled,
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


def _awaited_rows(batch: Batch) -> list[Row]:
    """Return rows for the payments that were cancelled before they came.

    They keep every worker from booking such a payment: its key is taken, as by a payment.
    """
    if not batch.awaited:
        return []
    sources = {
        (item.request.company, item.request.cancellation.payment_key): item.request.source.message_type
        for item in batch.settled
        if item.request.cancellation is not None
    }
    return [
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
        for name in batch.awaited
    ]
