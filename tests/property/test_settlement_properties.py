from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.property.worlds import COMPONENTS, World, settled, told, worlds
from worker.domain.allocation import NOTHING
from worker.domain.policy import Overpayment
from worker.domain.settlement import Replayed, Settled
from worker.domain.verdict import Reason


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
    assert cut.view.held == whole.view.held
    assert cut.view.bookings == whole.view.bookings
    assert (cut.view.invoices, cut.view.wallets) == (whole.view.invoices, whole.view.wallets)
    assert cut.view.twins == whole.view.twins


@given(worlds())
def test_in_every_outcome_the_amount_is_what_was_focused_and_what_was_not(world: World) -> None:
    for item in settled(world.books().settle(*world.requests)):
        outcome = told(item)
        sign = -1 if item.verdict.is_cancellation else 1
        for part in (outcome, *outcome["lines"]):
            focused = sum(Decimal(part[f"focusedto{name}"]) for name in COMPONENTS)
            assert Decimal(part["amount"]) == focused + Decimal(part["unfocused"])
            for name in COMPONENTS:
                before, after = Decimal(part[f"{name}before"]), Decimal(part[f"{name}after"])
                moved = Decimal(part[f"focusedto{name}"]), Decimal(part[f"writtenoff{name}"])
                assert before - after == sum(moved)
                assert min(before, after, *(sign * amount for amount in moved)) >= 0
            assert sign * Decimal(part["unfocused"]) >= 0
        assert sign * Decimal(outcome["surcharge"]) >= 0


@given(worlds())
def test_an_outcome_is_the_sum_of_its_lines(world: World) -> None:
    parts = [f"{part}{component}" for part in ("focusedto", "writtenoff") for component in COMPONENTS]
    for item in settled(world.books().settle(*world.requests)):
        outcome = told(item)
        if item.request.registration is not None:
            assert len(outcome["lines"]) == len(item.request.registration.lines)
        for name in ("amount", "unfocused", *parts):
            assert Decimal(outcome[name]) == sum(Decimal(line[name]) for line in outcome["lines"])


@given(worlds())
def test_what_moves_no_money_focuses_nothing_and_changes_nothing(world: World) -> None:
    books = world.books()
    for request in world.requests:
        before = dict(books.view.invoices), dict(books.view.wallets)
        answers = books.settle(request)
        for item in settled(answers):
            assert item.verdict.moves_money or item.verdict.unfocused == item.verdict.amount_minor
        if not any(item.verdict.moves_money for item in settled(answers)):
            assert (books.view.invoices, books.view.wallets) == before


@given(worlds())
def test_the_invoices_are_what_was_stated_less_all_that_was_allocated(world: World) -> None:
    books = world.books()
    expected = {invoice.id: invoice for invoice in world.invoices}
    for request in world.requests:
        for item in settled(books.settle(request)):
            for line in item.verdict.lines:
                if line.invoice is not None:
                    was, moved = expected[line.invoice.id], line.allocation.plus(line.written_off)
                    reopens = was.stated_state == "CLOSED" and moved.total < 0
                    expected[was.id] = replace(
                        was,
                        allocated=was.allocated.plus(moved),
                        stated_state="OPEN" if reopens else was.stated_state,
                    )
        assert books.view.invoices == expected
        for invoice in books.view.invoices.values():
            assert min(invoice.open) >= 0
            assert invoice.open == invoice.stated.minus(invoice.allocated)


@given(worlds())
def test_a_wallet_is_drawn_by_just_what_was_paid_from_it_and_never_beyond_its_unconditional_funds(world: World) -> None:
    books = world.books()
    drawn = {wallet.id: wallet.drawn for wallet in world.wallets}
    for request in world.requests:
        for item in settled(books.settle(request)):
            if item.verdict.wallet_id is not None:
                drawn[item.verdict.wallet_id] += item.verdict.amount_minor
        for wallet in world.wallets:
            assert books.view.wallets[wallet.id] == replace(wallet, drawn=drawn[wallet.id])
            assert 0 <= drawn[wallet.id] <= wallet.unconditional


@given(worlds())
def test_a_key_moves_money_at_most_once_and_every_replay_is_of_that(world: World) -> None:
    settlements = world.books().settle(*world.requests)
    moved = [item for item in settled(settlements) if item.verdict.moves_money]
    by_key = {item.request.identity: item for item in moved}
    assert len(by_key) == len(moved)
    for item in settlements:
        if isinstance(item, Replayed):
            first = by_key[item.request.identity]
            assert item.event_id == first.event_id
            assert item.request.fingerprint == first.request.fingerprint


@given(worlds())
def test_a_key_that_has_moved_money_is_only_replayed_or_refused_and_its_payment_stays_as_it_is(world: World) -> None:
    books = world.books()
    first: dict[tuple[str, str], Settled] = {}
    for request in world.requests:
        held = books.view.held[request.identity]
        moved = first.get(request.identity)
        for item in books.settle(request):
            if moved is not None:
                assert books.view.held[request.identity] == held
                assert isinstance(item, Replayed) == (request.fingerprint == moved.request.fingerprint)
                if isinstance(item, Settled):
                    assert item.verdict.reason in {Reason.IDEMPOTENCY_CONFLICT, Reason.INVALID}
                    assert not item.changes_payment
            else:
                assert isinstance(item, Settled)
                assert item.changes_payment
                assert books.view.held[request.identity].event_id == item.event_id
                if item.verdict.moves_money:
                    first[request.identity] = item


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
def test_a_line_that_pays_all_leaves_nothing_open_and_nothing_unfocused(world: World) -> None:
    for item in settled(world.books().settle(*world.requests)):
        registration = item.request.registration
        if item.verdict.is_booked and registration is not None and registration.total_minor is None:
            for line in item.verdict.lines:
                if line.line.amount_minor is None:
                    assert (line.unfocused, line.after) == (0, NOTHING)


@given(worlds())
def test_where_overpayment_is_refused_nothing_booked_is_unfocused(world: World) -> None:
    refusing = {policy.company for policy in world.policies if policy.overpayment is Overpayment.REJECT}
    for item in settled(world.books().settle(*world.requests)):
        registration = item.request.registration
        if item.verdict.is_booked and registration is not None:
            only_what_is_open = registration.refuses_overpayment or registration.settled_by != "money"
            if item.request.company in refusing or only_what_is_open:
                assert all(line.unfocused == 0 for line in item.verdict.lines)
            assert any(line.allocation != NOTHING for line in item.verdict.lines)
