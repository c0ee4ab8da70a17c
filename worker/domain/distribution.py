"""What each line of a payment pays: what it names, all that is open, or its share of the whole. Minor units."""

from collections.abc import Sequence
from datetime import date

from schemas.orders import Distribution
from schemas.registration import Registration
from worker.domain.allocation import pro_rata
from worker.domain.invoice import Invoice


def distribute(registration: Registration, invoices: Sequence[Invoice], distribution: Distribution) -> list[int]:
    """Return the amount of each line.

    invoices: the invoice of each line, with what is open on it now.
    A line that names its amount pays that, and one that names none all that is open as its turn comes. Where the
    payment states a total, the lines that name none share what the others leave of it: never more than is open on an
    invoice, except that what is left over when nothing is open any more stays with the last of them.
    The result depends on the message and on what is open, and on no order in which invoices were read.
    """
    named = [line.amount_minor for line in registration.lines if line.amount_minor is not None]
    if len(named) == len(registration.lines):
        return named
    open_amounts = {invoice.id: invoice.payable.total for invoice in invoices}
    amounts: list[int | None] = []
    for line, invoice in zip(registration.lines, invoices, strict=True):
        amount = line.amount_minor
        if amount is None and registration.total_minor is None:
            amount = open_amounts[invoice.id]
        amounts.append(amount)
        open_amounts[invoice.id] -= min(amount or 0, open_amounts[invoice.id])
    sharers = [index for index, amount in enumerate(amounts) if amount is None]
    if sharers:
        rest = (registration.total_minor or 0) - sum(amount for amount in amounts if amount is not None)
        sharing = [invoices[index] for index in sharers]
        for index, share in zip(sharers, _share(rest, sharing, open_amounts, distribution), strict=True):
            amounts[index] = share
    return [amount or 0 for amount in amounts]


def _share(
    rest: int, invoices: Sequence[Invoice], open_amounts: dict[int, int], distribution: Distribution
) -> Sequence[int]:
    """Return the rest in shares, one for each invoice; an invoice that stands there twice takes its share once."""
    weights = []
    for invoice in invoices:
        weights.append(open_amounts[invoice.id])
        open_amounts[invoice.id] = 0
    if distribution is Distribution.PRO_RATA:
        order = list(range(len(invoices)))
        shares = list(pro_rata(min(rest, sum(weights)), tuple(weights)))
    else:
        order = sorted(range(len(invoices)), key=lambda i: _rank(i, invoices[i], weights[i], rest, distribution))
        shares = [0] * len(invoices)
        left = rest
        for i in order:
            shares[i] = min(left, weights[i])
            left -= shares[i]
    last = next((i for i in reversed(order) if weights[i]), order[-1])
    shares[last] += rest - sum(shares)
    return shares


def _rank(
    position: int, invoice: Invoice, open_amount: int, rest: int, distribution: Distribution
) -> tuple[int, bool, date, int]:
    """Return what an invoice's turn depends on; of equal ones the first in the message comes first."""
    first = 0
    if distribution is Distribution.EXACT_MATCH:
        first = 0 if open_amount == rest else 1
    elif distribution is Distribution.HIGHEST_AMOUNT:
        first = -open_amount
    return first, invoice.due_date is None, invoice.due_date or date.max, position
