"""What is to become of a registration. The rules stand in the order in which they are asked; the first decides."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple, assert_never

from schemas.outcome import Status
from schemas.registration import Line, Registration
from worker.domain.allocation import NOTHING, Components, allocate
from worker.domain.invoice import Invoice
from worker.domain.matching import Mismatch
from worker.domain.policy import DuplicateCheck, Overpayment, Policy, Treatment


class Reason(StrEnum):
    """Why, for machines. Stable: downstream branches on it."""

    BOOKED = "booked"
    BOOKED_POSSIBLE_DUPLICATE = "booked_possible_duplicate"
    INVALID = "invalid"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    AMOUNT_ZERO = "amount_zero"
    TYPE_MUTED = "type_muted"
    TYPE_SETTLEMENT = "type_settlement"
    TYPE_SETTLEMENT_REFUND = "type_settlement_refund"
    PERIOD_CLOSED = "period_closed"
    PAYDATE_IN_FUTURE = "paydate_in_future"
    INVOICE_AWAITED = "invoice_awaited"
    INVOICE_NOT_FOUND = "invoice_not_found"
    INVOICE_OF_ANOTHER_COMPANY = "invoice_of_another_company"
    IDENTIFIERS_DISAGREE = "identifiers_disagree"
    WRONG_CURRENCY = "wrong_currency"
    INVOICE_CANCELLED = "invoice_cancelled"
    INVOICE_CLOSED = "invoice_closed"
    DUPLICATE = "duplicate"
    OVERPAYMENT = "overpayment"


class Twin(NamedTuple):
    """What two payments share that look like one payment sent under two keys."""

    invoice_id: int
    paydate: date
    amount_minor: int
    payment_type: str | None


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """What became of a line. `before` is what was open on its invoice as its turn came."""

    line: Line
    invoice: Invoice | None
    before: Components = NOTHING
    allocation: Components = NOTHING

    @property
    def after(self) -> Components:
        return self.before.minus(self.allocation)

    @property
    def unfocused(self) -> int:
        return self.line.amount_minor - self.allocation.total


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about a whole registration: all its lines are booked, or none."""

    status: Status
    reason: Reason
    text: str
    lines: tuple[LineVerdict, ...] = ()

    @property
    def is_booked(self) -> bool:
        return self.status is Status.OHISPAY


_TREATMENTS = {
    Treatment.ROPO: (Status.ROPO, Reason.TYPE_SETTLEMENT, "The payment runs through the collector's settlement flow"),
    Treatment.ROPO_REFUND: (
        Status.ROPO_REFUND,
        Reason.TYPE_SETTLEMENT_REFUND,
        "The payment is a refund of the collector's settlement flow",
    ),
    Treatment.IGNORE: (Status.IGNORE, Reason.TYPE_MUTED, "The company leaves payments of this type out"),
}


def decide(
    registration: Registration,
    matches: Sequence[Invoice | Mismatch],
    policy: Policy,
    today: date,
    *,
    may_await: bool,
    twins: Container[Twin] = (),
) -> Verdict:
    """Return the verdict on a registration.

    matches: for each line its invoice, with what is open now, or why there is none.
    may_await: whether an unknown invoice is still to be waited for.
    twins: what has been booked under other keys; asked only where the company's policy wants it.
    """
    refusal = _refuse_unseen(registration, policy, today) or _refuse_matches(
        registration, matches, policy, may_await=may_await
    )
    if refusal is None:
        invoices = [found for found in matches if isinstance(found, Invoice)]
        lines, is_twin = _book(registration, invoices, policy, twins)
        refusal = _refuse_booking(registration, invoices, lines, policy, is_twin=is_twin)
        if refusal is None:
            reason, text = Reason.BOOKED, "The payment has been booked"
            if is_twin:
                reason, text = Reason.BOOKED_POSSIBLE_DUPLICATE, "The payment has been booked; it may be a duplicate"
            return Verdict(Status.OHISPAY, reason, text, lines)
    return Verdict(*refusal, lines=unbooked(registration, matches))


def unbooked(registration: Registration, matches: Sequence[Invoice | Mismatch]) -> tuple[LineVerdict, ...]:
    """Return lines that change nothing. What is open is told only in the registration's own currency."""
    lines = []
    for line, found in zip(registration.lines, matches, strict=True):
        invoice = found if isinstance(found, Invoice) else None
        is_comparable = invoice is not None and invoice.currency == registration.currency
        lines.append(LineVerdict(line, invoice, invoice.open if invoice and is_comparable else NOTHING))
    return tuple(lines)


_Refusal = tuple[Status, Reason, str]


def _refuse_unseen(registration: Registration, policy: Policy, today: date) -> _Refusal | None:
    """Refuse what can be refused whatever its invoice is."""
    if registration.amount_minor == 0:
        return Status.IGNORE, Reason.AMOUNT_ZERO, "The amount is zero"
    treatment = policy.treat.get(registration.payment_type or "")
    if treatment is not None:
        return _TREATMENTS[treatment]
    if policy.books_closed_until is not None and registration.paydate <= policy.books_closed_until:
        return Status.OLD, Reason.PERIOD_CLOSED, f"The books are closed until {policy.books_closed_until}"
    if registration.paydate > today:
        return Status.UNDONE, Reason.PAYDATE_IN_FUTURE, "The payment date lies in the future; it is booked on that day"
    return None


def _refuse_matches(
    registration: Registration, matches: Sequence[Invoice | Mismatch], policy: Policy, *, may_await: bool
) -> _Refusal | None:
    """Refuse lines whose invoice is unknown, foreign, in doubt, of another currency or cancelled."""
    for found in matches:
        if isinstance(found, Mismatch):
            return _refuse_mismatch(found, policy, may_await=may_await)
        if found.currency != registration.currency:
            text = f"The payment is in {registration.currency}, its invoice in {found.currency}"
            return Status.FAIL, Reason.WRONG_CURRENCY, text
        if found.state == "CANCELLED":
            return Status.CANCELLED, Reason.INVOICE_CANCELLED, "The invoice is cancelled"
    return None


def _refuse_mismatch(mismatch: Mismatch, policy: Policy, *, may_await: bool) -> _Refusal:
    match mismatch:
        case Mismatch.DISAGREE:
            return Status.FAIL, Reason.IDENTIFIERS_DISAGREE, "The identifiers do not all name the same invoice"
        case Mismatch.FOREIGN if not policy.hide_foreign and not may_await:
            return Status.DIFFCID, Reason.INVOICE_OF_ANOTHER_COMPANY, "The invoice belongs to another company"
        case Mismatch.NOT_FOUND | Mismatch.FOREIGN:
            if may_await:
                return Status.UNDONE, Reason.INVOICE_AWAITED, "No such invoice yet; it is awaited"
            return Status.NOT_FOUND, Reason.INVOICE_NOT_FOUND, "No invoice under the identifiers given"
        case _:
            assert_never(mismatch)


def _book(
    registration: Registration, invoices: Sequence[Invoice], policy: Policy, twins: Container[Twin]
) -> tuple[tuple[LineVerdict, ...], bool]:
    """Allocate line by line, each seeing what the one before it left open, and say whether a line has a twin."""
    order = policy.order_for(registration.payment_type)
    twins = () if policy.duplicates is DuplicateCheck.OFF else twins
    current = {invoice.id: invoice for invoice in invoices}
    lines = []
    is_twin = False
    for line, found in zip(registration.lines, invoices, strict=True):
        invoice = current[found.id]
        allocation = allocate(line.amount_minor, invoice.open, order)
        lines.append(LineVerdict(line, invoice, invoice.open, allocation))
        current[found.id] = invoice.booked(allocation)
        is_twin |= Twin(found.id, registration.paydate, line.amount_minor, registration.payment_type) in twins
    return tuple(lines), is_twin


def _refuse_booking(
    registration: Registration,
    invoices: Sequence[Invoice],
    lines: Sequence[LineVerdict],
    policy: Policy,
    *,
    is_twin: bool,
) -> _Refusal | None:
    """Refuse a twin, an invoice that was closed before, and more than is open where that is not wanted."""
    if is_twin and policy.duplicates is DuplicateCheck.REJECT:
        return (
            Status.OLD,
            Reason.DUPLICATE,
            "A payment of this invoice, date, amount and type is booked under another key",
        )
    if any(invoice.state == "CLOSED" for invoice in invoices):
        return Status.CLOSE, Reason.INVOICE_CLOSED, "The invoice is closed"
    is_refused = registration.refuses_overpayment or policy.overpayment is Overpayment.REJECT
    if is_refused and any(line.unfocused for line in lines):
        return Status.FAIL, Reason.OVERPAYMENT, "The amount is more than is open on the invoice"
    return None
