"""A small world of few keys, invoices and amounts, so that payments meet: duplicates, conflicts, closed invoices."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import read_json
from schemas.registration import Identifier, Line
from tests.builders import TODAY, Books, a_policy, a_registration, a_request, an_invalid_request, an_invoice
from worker.domain.allocation import NOTHING, AllocationOrder, Components
from worker.domain.invoice import Invoice
from worker.domain.policy import DuplicateCheck, IdentifierRule, Overpayment, Policy, Treatment
from worker.domain.request import Request
from worker.domain.settlement import Replayed, Settled, Settlement
from worker.domain.verdict import Reason

COMPANIES = ("acme", "other")
CURRENCIES = st.sampled_from(["EUR"] * 20 + ["JPY", "KWD"])
NAMES = [(Identifier("billcode", str(number)), Identifier("jobid", str(number))) for number in range(5)]
"""Of the four invoices, and of one that nobody has."""
AMOUNTS = st.integers(0, 30)
COMPONENTS = ("capital", "interest", "noticefee")


@st.composite
def invoices(draw: st.DrawFn, number: int) -> Invoice:
    stated = Components(draw(AMOUNTS), draw(AMOUNTS), draw(AMOUNTS))
    return an_invoice(
        *stated,
        number=number,
        names=NAMES[number],
        allocated=Components(*(draw(st.integers(0, most)) for most in stated)),
        company=COMPANIES[number == 3],
        currency=draw(CURRENCIES),
        state=draw(st.sampled_from(["OPEN"] * 10 + ["CLOSED", "CANCELLED"])),
    )


def policies(company: str) -> st.SearchStrategy[Policy]:
    return st.builds(
        a_policy,
        company=st.just(company),
        allocation=st.sampled_from(AllocationOrder),
        overpayment=st.sampled_from([Overpayment.KEEP, Overpayment.KEEP, Overpayment.REJECT]),
        treat=st.sampled_from([{}, {"odd": Treatment.ROPO}]),
        books_closed_until=st.sampled_from([None, TODAY - timedelta(days=1)]),
        duplicates=st.sampled_from(DuplicateCheck),
        await_invoice_s=st.sampled_from([0, 60]),
        hide_foreign=st.booleans(),
        identifiers=st.sampled_from(IdentifierRule),
    )


AGREEING = st.sampled_from(NAMES)
DISAGREEING = st.tuples(AGREEING, AGREEING).map(lambda two: (two[0][0], two[1][1]))
LINES = st.builds(
    lambda names, amount: Line(identifiers=names, amount_minor=amount), AGREEING | AGREEING | DISAGREEING, AMOUNTS
)
REGISTRATIONS = st.builds(
    lambda lines, **rest: a_registration(*lines, **rest),
    st.lists(LINES, min_size=1, max_size=2),
    paydate=st.sampled_from([TODAY] * 10 + [TODAY - timedelta(days=1), TODAY + timedelta(days=1)]),
    payment_type=st.sampled_from([None, None, None, "directpayment", "directpayment", "odd"]),
    currency=CURRENCIES,
    refuses_overpayment=st.sampled_from([False, False, False, True]),
)
KEYS = st.sampled_from(["1", "2", "3", "4"])
WHOSE = st.sampled_from([COMPANIES[0]] * 5 + [COMPANIES[1]])


@dataclass
class World:
    invoices: list[Invoice]
    policies: list[Policy]
    requests: list[Request]

    def books(self) -> Books:
        return Books(*self.invoices, policies=self.policies)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    registrations = draw(st.lists(REGISTRATIONS, min_size=1, max_size=4))
    valid = st.builds(a_request, st.sampled_from(registrations), KEYS, company=WHOSE, reconsidered=st.booleans())
    invalid = st.builds(an_invalid_request, KEYS, company=WHOSE)
    requests = st.integers(0, 9).flatmap(lambda chance: valid if chance else invalid)
    return World(
        [draw(invoices(number)) for number in range(4)],
        [draw(policies(company)) for company in COMPANIES],
        draw(st.lists(requests, min_size=2, max_size=14)),
    )


def settled(settlements: list[Settlement]) -> Iterator[Settled]:
    return (item for item in settlements if isinstance(item, Settled))


def told(item: Settled) -> Any:
    return read_json(item.body)


@given(worlds(), st.data())
def test_the_same_comes_of_the_requests_however_a_batch_is_cut(world: World, data: st.DataObject) -> None:
    whole, cut = world.books(), world.books()
    expected = whole.settle(*world.requests)
    found = []
    left = world.requests
    while left:
        size = data.draw(st.integers(1, len(left)))
        batch, left = left[:size], left[size:]
        found += cut.settle(*batch)
    assert found == expected
    assert cut.view == whole.view


@given(worlds())
def test_in_every_outcome_the_amount_is_what_was_focused_and_what_was_not(world: World) -> None:
    for item in settled(world.books().settle(*world.requests)):
        outcome = told(item)
        for part in (outcome, *outcome["lines"]):
            focused = sum(Decimal(part[f"focusedto{name}"]) for name in COMPONENTS)
            assert Decimal(part["amount"]) == focused + Decimal(part["unfocused"])
            for name in COMPONENTS:
                before, after = Decimal(part[f"{name}before"]), Decimal(part[f"{name}after"])
                assert before - after == Decimal(part[f"focusedto{name}"]) >= 0
                assert after >= 0
            assert Decimal(part["unfocused"]) >= 0


@given(worlds())
def test_an_outcome_is_the_sum_of_its_lines(world: World) -> None:
    for item in settled(world.books().settle(*world.requests)):
        outcome = told(item)
        if item.request.registration is not None:
            assert len(outcome["lines"]) == len(item.request.registration.lines)
            for name in ("amount", "unfocused", *(f"focusedto{component}" for component in COMPONENTS)):
                assert Decimal(outcome[name]) == sum(Decimal(line[name]) for line in outcome["lines"])


@given(worlds())
def test_what_is_not_booked_focuses_nothing_and_changes_nothing(world: World) -> None:
    books = world.books()
    for request in world.requests:
        before = dict(books.view.invoices)
        for item in settled(books.settle(request)):
            if not item.verdict.is_booked:
                assert books.view.invoices == before
                assert told(item)["unfocused"] == told(item)["amount"]


@given(worlds())
def test_the_invoices_are_what_was_stated_less_all_that_was_allocated(world: World) -> None:
    books = world.books()
    allocated = {invoice.id: invoice.allocated for invoice in world.invoices}
    for item in settled(books.settle(*world.requests)):
        for line in item.verdict.lines:
            if line.invoice is not None:
                allocated[line.invoice.id] = allocated[line.invoice.id].plus(line.allocation)
    for invoice in world.invoices:
        left = books.view.invoices[invoice.id]
        assert left == replace(invoice, allocated=allocated[invoice.id])
        assert left.open == invoice.stated.minus(allocated[invoice.id])
        assert min(left.open) >= 0


@given(worlds())
def test_a_key_books_at_most_once_and_every_replay_is_of_its_booking(world: World) -> None:
    settlements = world.books().settle(*world.requests)
    booked = {item.request.identity: item for item in settled(settlements) if item.verdict.is_booked}
    counted = Counter(item.request.identity for item in settled(settlements) if item.verdict.is_booked)
    assert all(count == 1 for count in counted.values())
    for item in settlements:
        if isinstance(item, Replayed):
            first = booked[item.request.identity]
            assert item.event_id == first.event_id
            assert item.request.fingerprint == first.request.fingerprint


@given(worlds())
def test_after_its_booking_a_key_is_only_replayed_or_refused_and_its_payment_stays_as_it_is(world: World) -> None:
    books = world.books()
    for request in world.requests:
        held = books.view.held[request.identity]
        for item in books.settle(request):
            if held.is_booked:
                assert books.view.held[request.identity] == held
                if isinstance(item, Settled):
                    assert item.verdict.reason in {Reason.IDEMPOTENCY_CONFLICT, Reason.INVALID}
                    assert not item.changes_payment
            else:
                assert isinstance(item, Settled)
                assert item.changes_payment
                assert books.view.held[request.identity].event_id == item.event_id


@given(worlds())
def test_every_request_gets_an_answer_but_one_looked_at_again_and_still_undone(world: World) -> None:
    books = world.books()
    for request in world.requests:
        answers = books.settle(request)
        assert len(answers) == 1 or (request.reconsidered and not answers)


@given(worlds())
def test_one_payment_of_a_key_keeps_its_number(world: World) -> None:
    numbers: dict[tuple[str, str], int] = {}
    for item in settled(world.books().settle(*world.requests)):
        assert numbers.setdefault(item.request.identity, item.payment_id) == item.payment_id
    assert len(set(numbers.values())) == len(numbers)


@given(worlds())
def test_no_company_sees_or_changes_anothers_invoice(world: World) -> None:
    for item in settled(world.books().settle(*world.requests)):
        assert all(line.invoice is None or line.invoice.company == item.request.company for line in item.verdict.lines)


@given(worlds())
def test_what_is_left_undone_says_when_it_is_looked_at_again(world: World) -> None:
    for item in settled(world.books().settle(*world.requests)):
        is_undone = item.verdict.status.name == "UNDONE"
        assert (item.wake_at is not None) == (item.awaited_since is not None) == bool(item.awaits) == is_undone


@given(worlds())
def test_where_overpayment_is_refused_nothing_booked_is_unfocused(world: World) -> None:
    refusing = {policy.company for policy in world.policies if policy.overpayment is Overpayment.REJECT}
    for item in settled(world.books().settle(*world.requests)):
        registration = item.request.registration
        if item.verdict.is_booked and registration is not None:
            if item.request.company in refusing or registration.refuses_overpayment:
                assert all(line.unfocused == 0 for line in item.verdict.lines)
            assert any(line.allocation != NOTHING for line in item.verdict.lines)
