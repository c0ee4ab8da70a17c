"""What is to become of a registration. The rules stand in the order in which they are asked; the first decides."""

from collections.abc import Container, Sequence
from datetime import date
from typing import assert_never

from schemas.limits import AMOUNT_MINOR_MAX
from schemas.money import percent_of
from schemas.outcome import Status
from schemas.registration import Registration
from worker.domain.booking import book
from worker.domain.invoice import Invoice
from worker.domain.matching import Mismatch
from worker.domain.policy import DuplicateCheck, Overpayment, Policy, Treatment
from worker.domain.verdict import LineVerdict, Reason, Twin, Verdict, twin_of, unbooked
from worker.domain.wallet import Wallet

_TREATMENTS = {
    Treatment.ROPO: (Status.ROPO, Reason.TYPE_SETTLEMENT, "The payment runs through the collector's settlement flow"),
    Treatment.ROPO_REFUND: (
        Status.ROPO_REFUND,
        Reason.TYPE_SETTLEMENT_REFUND,
        "The payment is a refund of the collector's settlement flow",
    ),
    Treatment.IGNORE: (Status.IGNORE, Reason.TYPE_MUTED, "The company leaves payments of this type out"),
}

_Refusal = tuple[Status, Reason, str]


def decide(
    registration: Registration,
    matches: Sequence[Invoice | Mismatch],
    policy: Policy,
    today: date,
    *,
    may_await: bool,
    is_cancelled: bool = False,
    twins: Container[Twin] = (),
    wallet: Wallet | None = None,
) -> Verdict:
    """Return the verdict on a registration.

    matches: for each line its invoice, with what is open now, or why there is none.
    may_await: whether an unknown invoice is still to be waited for.
    is_cancelled: whether a cancellation came before the payment.
    twins: what has been booked under other keys; asked only where the company's policy wants it.
    wallet: the wallet that the registration names, None where it is not known.
    """
    refusal = (
        _refuse_unseen(registration, policy, today, is_cancelled=is_cancelled or registration.is_cancelled)
        or _refuse_matches(registration, matches, policy, may_await=may_await)
        or _refuse_wallet(registration, wallet)
    )
    if refusal is None:
        invoices = [found for found in matches if isinstance(found, Invoice)]
        lines = book(registration, invoices, policy)
        is_twin = policy.duplicates is not DuplicateCheck.OFF and any(
            twin_of(line, registration) in twins for line in lines
        )
        refusal = _refuse_booking(registration, lines, policy, wallet, is_twin=is_twin)
        if refusal is None:
            reason, text = Reason.BOOKED, "The payment has been booked"
            if is_twin:
                reason, text = Reason.BOOKED_POSSIBLE_DUPLICATE, "The payment has been booked; it may be a duplicate"
            wallet_id = wallet.id if wallet is not None else None
            surcharge_minor = _surcharge_minor(registration, sum(line.amount_minor for line in lines))
            return Verdict(Status.OHISPAY, reason, text, lines, surcharge_minor, wallet_id)
    return Verdict(*refusal, lines=unbooked(registration, matches))


def _surcharge_minor(registration: Registration, amount_minor: int) -> int:
    if registration.surcharge_percent is None:
        return registration.surcharge_minor
    return percent_of(amount_minor, registration.surcharge_percent)


def _refuse_unseen(registration: Registration, policy: Policy, today: date, *, is_cancelled: bool) -> _Refusal | None:
    """Refuse what can be refused whatever its invoice is."""
    if is_cancelled:
        return Status.CANCELLED, Reason.PAYMENT_CANCELLED, "The payment is cancelled; it has not been booked"
    if registration.known_amount_minor == 0:
        return Status.IGNORE, Reason.AMOUNT_ZERO, "The amount is zero"
    treatment = policy.treat.get(registration.payment_type or "")
    if treatment is not None:
        return _TREATMENTS[treatment]
    if registration.charges_gateway or not policy.gateways.isdisjoint((registration.method, registration.payment_type)):
        text = "The payment would be charged through a payment gateway, which is not done here"
        return Status.FAIL, Reason.GATEWAY_CHARGE_UNSUPPORTED, text
    if policy.books_closed_until is not None and registration.paydate <= policy.books_closed_until:
        return Status.OLD, Reason.PERIOD_CLOSED, f"The books are closed until {policy.books_closed_until}"
    if registration.paydate > today:
        return Status.UNDONE, Reason.PAYDATE_IN_FUTURE, "The payment date lies in the future; it is booked on that day"
    return None


def _refuse_matches(
    registration: Registration, matches: Sequence[Invoice | Mismatch], policy: Policy, *, may_await: bool
) -> _Refusal | None:
    """Refuse lines whose invoice is unknown, foreign, in doubt, of another account or currency, or cancelled."""
    for found in matches:
        if isinstance(found, Mismatch):
            return _refuse_mismatch(found, policy, may_await=may_await)
        if registration.account is not None and not found.belongs_to(registration.account):
            return Status.FAIL, Reason.INVOICE_OF_ANOTHER_ACCOUNT, "The invoice does not belong to the account given"
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


def _refuse_wallet(registration: Registration, wallet: Wallet | None) -> _Refusal | None:
    if registration.wallet is None:
        return None
    if wallet is None:
        return Status.FAIL, Reason.WALLET_NOT_FOUND, "No wallet of the company under the name given"
    if wallet.currency != registration.currency:
        text = f"The payment is in {registration.currency}, the wallet in {wallet.currency}"
        return Status.FAIL, Reason.WRONG_CURRENCY, text
    return None


def _refuse_booking(
    registration: Registration,
    lines: Sequence[LineVerdict],
    policy: Policy,
    wallet: Wallet | None,
    *,
    is_twin: bool,
) -> _Refusal | None:
    """Refuse a twin, an invoice that was closed before, and more than is open, held or countable."""
    if is_twin and policy.duplicates is DuplicateCheck.REJECT:
        return (
            Status.OLD,
            Reason.DUPLICATE,
            "A payment of this invoice, date, amount and type is booked under another key",
        )
    if _is_closed(registration, lines):
        return Status.CLOSE, Reason.INVOICE_CLOSED, "The invoice is closed"
    # Only money can lie unfocused: a wallet is not drawn for nothing, and to write off what is not owed means nothing.
    is_bounded = (
        registration.refuses_overpayment
        or policy.overpayment is Overpayment.REJECT
        or registration.settled_by != "money"
    )
    if is_bounded and any(line.unfocused for line in lines):
        return Status.FAIL, Reason.OVERPAYMENT, "The amount is more than is open on the invoice"
    amount_minor = sum(line.amount_minor for line in lines)
    if amount_minor > AMOUNT_MINOR_MAX:
        return Status.FAIL, Reason.AMOUNT_TOO_LARGE, "The amount is more than the books can hold"
    if wallet is not None and amount_minor > wallet.available:
        text = "The wallet's unconditional funds are less than the amount"
        return Status.FAIL, Reason.WALLET_FUNDS_INSUFFICIENT, text
    return None


def _is_closed(registration: Registration, lines: Sequence[LineVerdict]) -> bool:
    """Say whether an invoice was closed before the payment. Of those that share a total, one that is open is enough."""
    was_closed: dict[int, bool] = {}
    shared: list[bool] = []
    named: list[bool] = []
    for line in lines:
        if line.invoice is not None:
            is_shared = registration.total_minor is not None and line.line.amount_minor is None
            is_closed = was_closed.setdefault(line.invoice.id, line.invoice.state == "CLOSED")
            (shared if is_shared else named).append(is_closed)
    return any(named) or (bool(shared) and all(shared))
