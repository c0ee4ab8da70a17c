"""What became of a registration or a cancellation: the status, why, and line by line what it does to invoices."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from msgspec.structs import replace

from schemas.limits import AMOUNT_MINOR_MAX
from schemas.outcome import Status
from schemas.registration import Line, Registration
from schemas.value import Value
from worker.domain.allocation import NOTHING, Components
from worker.domain.invoice import Invoice
from worker.domain.matching import Mismatch


class Reason(StrEnum):
    """Why, for machines. Stable: downstream branches on it."""

    BOOKED = "booked"
    BOOKED_POSSIBLE_DUPLICATE = "booked_possible_duplicate"
    INVALID = "invalid"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    AMOUNT_ZERO = "amount_zero"
    AMOUNT_TOO_LARGE = "amount_too_large"
    OUTCOME_TOO_LARGE = "outcome_too_large"
    TYPE_MUTED = "type_muted"
    TYPE_SETTLEMENT = "type_settlement"
    TYPE_SETTLEMENT_REFUND = "type_settlement_refund"
    GATEWAY_CHARGE_UNSUPPORTED = "gateway_charge_unsupported"
    PERIOD_CLOSED = "period_closed"
    PAYDATE_IN_FUTURE = "paydate_in_future"
    INVOICE_AWAITED = "invoice_awaited"
    INVOICE_NOT_FOUND = "invoice_not_found"
    INVOICE_OF_ANOTHER_COMPANY = "invoice_of_another_company"
    INVOICE_OF_ANOTHER_ACCOUNT = "invoice_of_another_account"
    IDENTIFIERS_DISAGREE = "identifiers_disagree"
    WRONG_CURRENCY = "wrong_currency"
    INVOICE_CANCELLED = "invoice_cancelled"
    INVOICE_CLOSED = "invoice_closed"
    DUPLICATE = "duplicate"
    OVERPAYMENT = "overpayment"
    WALLET_NOT_FOUND = "wallet_not_found"
    WALLET_FUNDS_INSUFFICIENT = "wallet_funds_insufficient"
    PAYMENT_CANCELLED = "payment_cancelled"
    """Of a payment that is not booked, since it was cancelled before it came or came in as cancelled."""
    CANCELLED = "cancelled"
    """Of a cancellation that was done."""
    ALREADY_CANCELLED = "already_cancelled"
    PAYMENT_NOT_BOOKED = "payment_not_booked"
    PAYMENT_NOT_FOUND = "payment_not_found"
    PAYMENT_OF_ANOTHER_COMPANY = "payment_of_another_company"
    PAYMENT_IS_CANCELLATION = "payment_is_cancellation"


class Twin(NamedTuple):
    """What two payments share that look like one payment sent under two keys."""

    invoice_id: int
    paydate: date
    amount_minor: int
    payment_type: str | None


class LineVerdict(Value, frozen=True, kw_only=True):
    """What became of a line. `before` is what was open on its invoice as its turn came."""

    line: Line
    invoice: Invoice | None
    amount_minor: int
    before: Components = NOTHING
    allocation: Components = NOTHING
    written_off: Components = NOTHING
    """A small remainder that is written off beside the payment."""

    @property
    def after(self) -> Components:
        return self.before.minus(self.allocation).minus(self.written_off)

    @property
    def unfocused(self) -> int:
        return self.amount_minor - self.allocation.total

    @property
    def invoice_after(self) -> Invoice | None:
        return self.invoice.booked(self.allocation.plus(self.written_off)) if self.invoice is not None else None


def first_lines(lines: Sequence[LineVerdict]) -> dict[int, LineVerdict]:
    """Return the first line of each invoice, by its id: what was before that was before the payment."""
    return {line.invoice.id: line for line in reversed(lines) if line.invoice is not None}


def twin_of(line: LineVerdict, registration: Registration) -> Twin | None:
    """Return what another payment would have to be to look the same as this line, unless the line pays nothing."""
    if line.invoice is None or not line.amount_minor:
        return None
    return Twin(line.invoice.id, registration.paydate, line.amount_minor, registration.payment_type)


class CancelledPayment(NamedTuple):
    """The payment that a cancellation names. It has no id where none is known under that key."""

    key: str
    payment_id: int | None


class Verdict(Value, frozen=True):
    """The decision about a whole registration: all its lines are booked, or none. Or about a cancellation."""

    status: Status
    reason: Reason
    text: str
    lines: tuple[LineVerdict, ...] = ()
    surcharge_minor: int = 0
    wallet_id: int | None = None
    """The wallet that the amount is drawn from."""
    cancels: CancelledPayment | None = None

    def refused(self, status: Status, reason: Reason, text: str) -> "Verdict":
        """Return the verdict on a payment that would have been booked, but for this: its invoices are as before it."""
        firsts = first_lines(self.lines)
        lines = []
        for line in self.lines:
            first = firsts[line.invoice.id] if line.invoice is not None else line
            lines.append(
                replace(line, invoice=first.invoice, before=first.before, allocation=NOTHING, written_off=NOTHING)
            )
        return Verdict(status, reason, text, tuple(lines))

    @property
    def is_booked(self) -> bool:
        return self.status is Status.OHISPAY

    @property
    def is_cancellation(self) -> bool:
        """True for a cancellation that was done."""
        return self.reason is Reason.CANCELLED

    @property
    def moves_money(self) -> bool:
        """Say whether the books change, and the key is used up."""
        return self.is_booked or self.is_cancellation

    @property
    def amount_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)

    @property
    def unfocused(self) -> int:
        return sum(line.unfocused for line in self.lines)


def unbooked(registration: Registration, matches: Sequence[Invoice | Mismatch]) -> tuple[LineVerdict, ...]:
    """Return lines that change nothing. What is open is told only in the registration's own currency.

    A line that would pay all that is open tells that amount, as far as it is known.
    """
    lines = []
    for line, found in zip(registration.lines, matches, strict=True):
        invoice = found if isinstance(found, Invoice) else None
        is_comparable = invoice is not None and invoice.currency == registration.currency
        before = invoice.open if invoice is not None and is_comparable else NOTHING
        lines.append((line, invoice, before))
    amounts = _unbooked_amounts(registration, [(invoice, before) for _, invoice, before in lines])
    return tuple(
        LineVerdict(line=line, invoice=invoice, before=before, amount_minor=amount)
        for (line, invoice, before), amount in zip(lines, amounts, strict=True)
    )


def _unbooked_amounts(registration: Registration, found: Sequence[tuple[Invoice | None, Components]]) -> list[int]:
    named = [line.amount_minor for line in registration.lines]
    if registration.total_minor is None:
        left = {invoice.id: before.total for invoice, before in found if invoice is not None}
        amounts = []
        for amount, (invoice, _) in zip(named, found, strict=True):
            # What is open is paid by the first that asks for all of it.
            all_open = left.pop(invoice.id, 0) if amount is None and invoice is not None else 0
            amounts.append(all_open if amount is None else amount)
        return amounts if sum(amounts) <= AMOUNT_MINOR_MAX else [amount or 0 for amount in named]
    amounts = [amount or 0 for amount in named]
    # What nobody was to share yet stays with the last that would have shared it.
    last = max((i for i, amount in enumerate(named) if amount is None), default=len(named) - 1)
    amounts[last] += registration.total_minor - sum(amounts)
    return amounts
