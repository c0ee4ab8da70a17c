from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import Books, a_cancel, reasons
from tests.property.worlds import World, settled, told, worlds
from worker.domain.allocation import NOTHING, Components
from worker.domain.settlement import Settled
from worker.domain.verdict import Reason


def booked_payments(books: Books) -> list[tuple[str, str]]:
    """Those that are booked and not cancelled."""
    return [name for name, held in books.view.held.items() if held.is_booked and not held.is_cancelled]


@given(worlds())
def test_a_payment_and_its_cancellation_are_together_nothing(world: World) -> None:
    moved = [item for item in settled(world.books().settle(*world.requests)) if item.verdict.moves_money]
    booked = {item.payment_id: item for item in moved if item.verdict.is_booked}
    for item in moved:
        if not item.verdict.is_cancellation:
            continue
        named = told(item)["cancels"]
        payment = booked.pop(named["payment_id"])
        assert payment.request.identity == (item.request.company, named["idempotency_key"])
        assert item.verdict.amount_minor + payment.verdict.amount_minor == 0
        assert item.verdict.unfocused + payment.verdict.unfocused == 0
        assert item.verdict.surcharge_minor + payment.verdict.surcharge_minor == 0
        assert item.verdict.wallet_id == payment.verdict.wallet_id
        sums: dict[int, tuple[Components, Components]] = defaultdict(lambda: (NOTHING, NOTHING))
        for line in (*payment.verdict.lines, *item.verdict.lines):
            assert line.invoice is not None
            paid, written_off = sums[line.invoice.id]
            sums[line.invoice.id] = paid.plus(line.allocation), written_off.plus(line.written_off)
        assert set(sums.values()) == {(NOTHING, NOTHING)}


@given(worlds(), st.data())
def test_when_all_is_cancelled_in_whatever_order_all_is_as_it_was(world: World, data: st.DataObject) -> None:
    books = world.books()
    books.settle(*world.requests)
    left = data.draw(st.permutations(booked_payments(books)))
    cancels = [a_cancel(key, f"undo {company} {key}", company=company) for company, key in left]
    assert reasons(books.settle(*cancels)) == [Reason.CANCELLED] * len(left)
    assert books.view.wallets == {wallet.id: wallet for wallet in world.wallets}
    for invoice in world.invoices:
        found = books.view.invoices[invoice.id]
        assert found == replace(invoice, stated_state=found.stated_state)
        assert found.stated_state in {invoice.stated_state, "OPEN"}
    assert books.view.twins == Counter()


@given(worlds())
def test_what_a_cancellation_named_is_booked_no_more(world: World) -> None:
    books = world.books()
    named: set[tuple[str, str]] = set()
    for request in world.requests:
        for item in settled(books.settle(request)):
            assert not (item.verdict.is_booked and request.identity in named)
            if request.cancellation is not None and item.verdict.cancels is not None:
                named |= {(request.company, request.cancellation.payment_key)}
            if item.verdict.reason is Reason.PAYMENT_CANCELLED:
                registration = request.registration
                assert registration is not None
                assert registration.is_cancelled or request.identity in named


@given(worlds())
def test_a_cancellation_that_changes_nothing_leaves_every_booking_as_it_was(world: World) -> None:
    books = world.books()
    for request in world.requests:
        booked = booked_payments(books)
        answers = list(settled(books.settle(request)))
        gone = set(booked) - set(booked_payments(books))
        done = {
            (request.company, item.verdict.cancels.key)
            for item in answers
            if item.verdict.is_cancellation and item.verdict.cancels is not None
        }
        assert gone == done


@given(worlds())
def test_a_cancellation_that_comes_again_changes_nothing_more(world: World) -> None:
    books = world.books()
    for request in world.requests:
        books.settle(request)
        if request.cancellation is not None:
            before = dict(books.view.held), dict(books.view.invoices), dict(books.view.wallets)
            (again,) = books.settle(request)
            after = dict(books.view.held), books.view.invoices, books.view.wallets
            assert after[1:] == before[1:]
            assert isinstance(again, Settled) or after == before
