"""A payment as it goes onto its invoices, line by line, and as it comes off them again."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from msgspec.structs import replace

from schemas.limits import AMOUNT_MINOR_MAX
from schemas.registration import Line, Registration, SettledBy
from schemas.value import Value
from worker.domain.allocation import NOTHING, Components, allocate
from worker.domain.distribution import distribute
from worker.domain.invoice import Invoice
from worker.domain.policy import Policy
from worker.domain.verdict import LineVerdict, Twin, Verdict


class BookedLine(NamedTuple):
    """What a line of a booked payment put where."""

    invoice_id: int
    amount_minor: int
    allocation: Components
    written_off: Components
    references: Mapping[str, str]


class Booking(Value, frozen=True, kw_only=True):
    """A booked payment, as far as a cancellation has to know it. Amounts are minor units of its currency."""

    payment_id: int
    currency: str
    paydate: date
    payment_type: str | None
    settled_by: SettledBy
    surcharge_minor: int
    wallet_id: int | None
    lines: tuple[BookedLine, ...]

    @property
    def twins(self) -> list[Twin]:
        """Return what another payment would have to be to look the same, for each line that pays something."""
        return [
            Twin(line.invoice_id, self.paydate, line.amount_minor, self.payment_type)
            for line in self.lines
            if line.amount_minor
        ]


def booked(payment_id: int, registration: Registration, verdict: Verdict) -> Booking:
    """Return the booking that a verdict makes of a registration."""
    return Booking(
        payment_id=payment_id,
        currency=registration.currency,
        paydate=registration.paydate,
        payment_type=registration.payment_type,
        settled_by=registration.settled_by,
        surcharge_minor=verdict.surcharge_minor,
        wallet_id=verdict.wallet_id,
        lines=tuple(
            BookedLine(line.invoice.id, line.amount_minor, line.allocation, line.written_off, line.line.references)
            for line in verdict.lines
            if line.invoice is not None
        ),
    )


def book(registration: Registration, invoices: Sequence[Invoice], policy: Policy) -> tuple[LineVerdict, ...]:
    """Allocate line by line, each seeing what the one before it left open."""
    order = registration.allocation or policy.order_for(registration.payment_type)
    amounts = distribute(registration, invoices, registration.distribution or policy.distribution)
    current = {invoice.id: invoice for invoice in invoices}
    lines = []
    for line, found, amount in zip(registration.lines, invoices, amounts, strict=True):
        invoice = current[found.id]
        before = invoice.open
        allocation = allocate(amount, invoice.payable, order)
        lines.append(LineVerdict(line=line, invoice=invoice, amount_minor=amount, before=before, allocation=allocation))
        if len(invoices) > 1:  # nobody looks after the only line
            current[found.id] = invoice.booked(allocation)
    return _write_off_remainders(lines, registration, policy)


def _write_off_remainders(
    lines: Sequence[LineVerdict], registration: Registration, policy: Policy
) -> tuple[LineVerdict, ...]:
    """Write off what the payment leaves open of an invoice, where the company tolerates that.

    It is told with the last line of the invoice. The tolerance is money of the company's own currency, and a write-off
    that leaves something open means to.
    """
    if not policy.has_tolerance or registration.is_write_off or registration.currency != policy.currency:
        return tuple(lines)
    told = list(lines)
    of_invoice: dict[int, list[int]] = {}
    for i, line in enumerate(lines):
        if line.invoice is not None:
            of_invoice.setdefault(line.invoice.id, []).append(i)
    for indexes in of_invoice.values():
        first, last = lines[indexes[0]], lines[indexes[-1]]
        paid = sum(lines[i].allocation.total for i in indexes)
        remainder = last.after.total
        if paid and 0 < remainder <= AMOUNT_MINOR_MAX and policy.tolerates(remainder, first.before.total):
            told[indexes[-1]] = replace(last, written_off=last.after)
    return tuple(told)


def counter_entries(booking: Booking, invoices: Mapping[int, Invoice]) -> tuple[LineVerdict, ...]:
    """Return the counter-entries: each component gets back just what the payment had put on it, whatever came since."""
    current = dict(invoices)
    lines = []
    for booked in booking.lines:
        invoice = current[booked.invoice_id]
        line = LineVerdict(
            line=Line(identifiers=(), amount_minor=-booked.amount_minor, references=booked.references),
            invoice=invoice,
            amount_minor=-booked.amount_minor,
            # One that the payment left alone may be owed in another currency by now.
            before=invoice.open if invoice.currency == booking.currency else NOTHING,
            allocation=NOTHING.minus(booked.allocation),
            written_off=NOTHING.minus(booked.written_off),
        )
        lines.append(line)
        current[booked.invoice_id] = line.invoice_after or invoice
    return tuple(lines)
