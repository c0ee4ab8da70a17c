from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.orders import AllocationOrder, Distribution
from schemas.registration import Identifier, Line, Registration
from tests.builders import TODAY, Books, a_policy, a_registration, a_request, an_invoice
from worker.domain.distribution import distribute
from worker.domain.invoice import Invoice

DUE = st.none() | st.integers(0, 3).map(lambda days: TODAY + timedelta(days=days))
WAYS = st.sampled_from(Distribution)
RANKED = st.sampled_from([way for way in Distribution if way is not Distribution.PRO_RATA])


def takes(invoice: Invoice) -> int:
    """What an invoice can take of a payment."""
    return 0 if invoice.stated_state == "CLOSED" else invoice.open.total


@st.composite
def payments(draw: st.DrawFn) -> tuple[Registration, list[Invoice]]:
    """A total over lines, and each line's invoice. Some lines name their amount, at least one does not."""
    most = draw(st.sampled_from([4, 12, 10**15]))
    amounts = st.integers(0, most)
    known = [
        an_invoice(
            draw(amounts),
            draw(amounts),
            number=number,
            names=[Identifier("billcode", str(number))],
            due=draw(DUE),
            state=draw(st.sampled_from(["OPEN", "OPEN", "OPEN", "CLOSED"])),
        )
        for number in range(1, draw(st.integers(2, 5)))
    ]
    found = draw(st.lists(st.sampled_from(known), min_size=1, max_size=6))
    named = [draw(st.none() | st.none() | amounts) for _ in found]
    named[draw(st.integers(0, len(found) - 1))] = None
    lines = [
        Line(identifiers=(Identifier("billcode", str(invoice.id)),), amount_minor=amount)
        for invoice, amount in zip(found, named, strict=True)
    ]
    rest = draw(st.integers(0, 5 * most))
    return a_registration(*lines, total_minor=sum(amount or 0 for amount in named) + rest), found


Payment = tuple[Registration, list[Invoice]]


@given(payments(), WAYS)
def test_the_lines_are_together_the_total(payment: Payment, by: Distribution) -> None:
    registration, invoices = payment
    amounts = distribute(registration, invoices, by)
    assert sum(amounts) == registration.total_minor
    for amount, line in zip(amounts, registration.lines, strict=True):
        assert amount >= 0
        assert line.amount_minor in {None, amount}


@given(payments(), WAYS)
def test_a_share_is_more_than_its_invoice_takes_only_where_all_is_paid(payment: Payment, by: Distribution) -> None:
    registration, invoices = payment
    left = {invoice.id: takes(invoice) for invoice in invoices}
    shared: Counter[int] = Counter()
    for line, invoice, amount in zip(registration.lines, invoices, distribute(registration, invoices, by), strict=True):
        if line.amount_minor is None:
            shared[invoice.id] += amount
        else:
            left[invoice.id] = max(left[invoice.id] - amount, 0)
    over = [number for number, amount in shared.items() if amount > left[number]]
    assert len(over) <= 1
    if over:
        assert all(amount >= left[number] for number, amount in shared.items())
        assert left[over[0]] or not any(left[number] for number in shared)


@given(payments(), RANKED)
def test_an_invoice_gets_something_only_when_those_before_it_are_paid(payment: Payment, by: Distribution) -> None:
    """Of lines that share alone, on an invoice each; what is before what is said once more here."""
    registration, found = payment
    invoices = list({invoice.id: invoice for invoice in found}.values())
    total = registration.total_minor or 0
    sharing = a_registration(*(Line(identifiers=(), amount_minor=None) for _ in invoices), total_minor=total)

    def turn(invoice: Invoice) -> tuple[int, date]:
        first = {Distribution.HIGHEST_AMOUNT: -takes(invoice), Distribution.EXACT_MATCH: -(takes(invoice) == total)}
        return first.get(by, 0), invoice.due_date or date.max

    amounts = distribute(sharing, invoices, by)
    in_turn = sorted(zip(invoices, amounts, strict=True), key=lambda pair: turn(pair[0]))
    for (earlier, paid), (later, amount) in pairwise(in_turn):
        assert paid >= takes(earlier) or not min(amount, takes(later))


@given(payments(), WAYS, st.data())
def test_the_ids_of_the_invoices_make_no_difference(payment: Payment, by: Distribution, data: st.DataObject) -> None:
    registration, invoices = payment
    ids = sorted({invoice.id for invoice in invoices})
    renumbered = dict(zip(ids, data.draw(st.permutations(ids)), strict=True))
    others = [
        an_invoice(*invoice.stated, number=renumbered[invoice.id], due=invoice.due_date, state=invoice.stated_state)
        for invoice in invoices
    ]
    assert distribute(registration, others, by) == distribute(registration, invoices, by)


@given(payments(), WAYS, st.data())
def test_the_order_in_which_invoices_were_read_makes_no_difference(
    payment: Payment, by: Distribution, data: st.DataObject
) -> None:
    registration, found = payment
    invoices = list({invoice.id: invoice for invoice in found}.values())
    policy = a_policy(distribution=by)
    read, read_otherwise = (
        Books(*order, policies=[policy]) for order in (invoices, data.draw(st.permutations(invoices)))
    )
    assert read.settle(a_request(registration)) == read_otherwise.settle(a_request(registration))
    assert read.view.invoices == read_otherwise.view.invoices


@given(payments(), WAYS, WAYS, st.sampled_from(AllocationOrder), st.sampled_from(AllocationOrder))
def test_what_the_message_asks_for_goes_before_what_the_company_has(
    payment: Payment,
    by: Distribution,
    other: Distribution,
    order: AllocationOrder,
    other_order: AllocationOrder,
) -> None:
    registration, invoices = payment
    asking = a_registration(
        *registration.lines, total_minor=registration.total_minor, distribution=by, allocation=order
    )
    company = Books(*invoices, policies=[a_policy(distribution=by, allocation=order)])
    message = Books(*invoices, policies=[a_policy(distribution=other, allocation=other_order)])
    company.settle(a_request(registration))
    message.settle(a_request(asking))
    assert company.view.invoices == message.view.invoices
