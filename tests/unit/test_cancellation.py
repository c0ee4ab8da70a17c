"""What a cancellation gives back: each component exactly what the payment had put on it, whatever came since."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.codec import read_json
from schemas.orders import AllocationOrder
from schemas.outcome import Status
from schemas.registration import Identifier, Line
from tests.builders import (
    Books,
    a_cancel,
    a_line,
    a_policy,
    a_registration,
    a_request,
    an_invoice,
    reasons,
)
from tests.unit.decisions import settle
from worker.domain.allocation import NOTHING, Components
from worker.domain.booking import BookedLine, Booking, counter_entries
from worker.domain.policy import DuplicateCheck
from worker.domain.verdict import Reason

OTHER = Identifier("billcode", "other")


def paying(amount_minor: int | None, key: str = "key-1", **changes: Any) -> Any:
    return a_request(a_registration(a_line(amount_minor), **changes), key)


# What is open again.


def test_what_was_paid_is_open_again() -> None:
    books = Books(an_invoice(50000, 300, 20))
    before = books.open()
    books.settle(paying(10000))
    settled = books.settle_one(a_cancel())
    assert (settled.verdict.status, settled.verdict.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert settled.verdict.text == "The payment has been cancelled; what it had paid is open again"
    assert books.open() == before


def test_each_component_gets_back_what_it_had_even_where_later_payments_came_between() -> None:
    books = Books(an_invoice(500, 200, 100))
    books.settle(paying(150, "first"))  # the notice fee and 50 of the interest
    books.settle(paying(300, "second"))  # the rest of the interest and 150 of the capital
    books.settle(paying(60, "third", allocation=AllocationOrder.PRO_RATA))
    books.settle(a_cancel("first", "undo first"))
    assert books.open() == Components(290, 50, 100)
    books.settle(paying(120, "fourth"))
    assert books.open() == Components(290, 30, 0)
    books.settle(a_cancel("second", "undo second"))
    assert books.open() == Components(440, 180, 0)
    books.settle(a_cancel("fourth", "undo fourth"), a_cancel("third", "undo third"))
    assert books.open() == Components(500, 200, 100)


def test_every_line_is_reversed_on_its_own_invoice() -> None:
    books = Books(an_invoice(1000), an_invoice(1000, number=2, names=[OTHER]))
    books.settle(a_request(a_registration(a_line(300), a_line(400, OTHER), a_line(900)), "key-1"))
    assert (books.open(1), books.open(2)) == (NOTHING, Components(600))
    lines = books.settle_one(a_cancel()).verdict.lines
    assert (books.open(1), books.open(2)) == (Components(1000), Components(1000))
    assert [(line.amount_minor, line.allocation.capital, line.unfocused) for line in lines] == [
        (-300, -300, 0),
        (-400, -400, 0),
        (-900, -700, -200),
    ]
    assert [(line.before.capital, line.after.capital) for line in lines] == [(0, 300), (600, 1000), (300, 1000)]


def test_what_lay_unfocused_is_taken_back_too() -> None:
    books = Books(an_invoice(1000))
    books.settle(paying(1500))
    (line,) = books.settle_one(a_cancel()).verdict.lines
    assert (line.amount_minor, line.allocation, line.unfocused) == (-1500, Components(-1000), -500)


def test_only_the_payment_named_is_reversed() -> None:
    books = Books(an_invoice(1000))
    books.settle(paying(300, "1"), paying(200, "2"))
    books.settle(a_cancel("2"))
    assert books.open() == Components(700)
    assert [books.view.held["acme", key].is_cancelled for key in ("1", "2")] == [False, True]


def test_a_remainder_that_was_written_off_is_open_again_as_it_was_of_each_component() -> None:
    books = Books(an_invoice(500, 200, 100), policies=[a_policy(tolerance_percent=Decimal(50))])
    books.settle(paying(450))
    assert books.open() == NOTHING
    (line,) = books.settle_one(a_cancel()).verdict.lines
    assert (line.allocation, line.written_off) == (Components(-150, -200, -100), Components(-350))
    assert books.open() == Components(500, 200, 100)


def test_a_cancellation_writes_nothing_off_itself() -> None:
    books = Books(an_invoice(1000), policies=[a_policy(tolerance_minor=100)])
    books.settle(paying(60, "small"), paying(850, "large"))
    assert books.open() == NOTHING
    books.settle(a_cancel("small"))
    assert books.open() == Components(60)


def test_a_write_off_and_a_surcharge_are_undone() -> None:
    books = Books(an_invoice())
    books.settle(paying(71000, is_write_off=True, surcharge_minor=250))
    settled = books.settle_one(a_cancel())
    assert settled.verdict.surcharge_minor == -250
    told: Any = read_json(settled.body)
    assert (told["settled_by"], told["surcharge"], told["focusedtocapital"]) == ("write_off", "-2.50", "-710.00")
    assert books.open() == Components(71000)


# The invoice's state.


def test_an_invoice_that_was_paid_is_open_again_and_takes_the_next_payment() -> None:
    books = Books(an_invoice())
    closed = paying(71000, "too late")
    assert reasons(books.settle(paying(71000), closed, a_cancel(), closed)) == [
        Reason.BOOKED,
        Reason.INVOICE_CLOSED,
        Reason.CANCELLED,
        Reason.BOOKED,
    ]


def test_an_invoice_that_its_owner_closed_meanwhile_is_open_again() -> None:
    books = Books(an_invoice())
    books.settle(paying(1000))
    books.view.invoices[1] = an_invoice(allocated=Components(1000), state="CLOSED")
    settled = books.settle_one(a_cancel())
    assert books.view.invoices[1].state == "OPEN"
    told: Any = read_json(settled.body)
    assert told["invoicestate"] == "OPEN"
    assert books.settle_one(paying(71000, "key-2")).verdict.is_booked


def test_an_invoice_that_its_owner_cancelled_meanwhile_stays_cancelled() -> None:
    books = Books(an_invoice())
    books.settle(paying(1000))
    books.view.invoices[1] = an_invoice(allocated=Components(1000), state="CANCELLED")
    told: Any = read_json(books.settle_one(a_cancel()).body)
    assert (told["invoicestate"], told["capitalafter"]) == ("CANCELLED", "710.00")
    assert books.settle_one(paying(1, "key-2")).verdict.reason is Reason.INVOICE_CANCELLED


def test_a_line_that_paid_nothing_opens_nothing() -> None:
    books = Books(an_invoice(), an_invoice(number=2, names=[OTHER]))
    books.settle(a_request(a_registration(a_line(10), a_line(0, OTHER))))
    books.view.invoices[2] = an_invoice(number=2, names=[OTHER], state="CLOSED")
    books.settle(a_cancel())
    assert books.view.invoices[2].state == "CLOSED"


# Twins.


@pytest.mark.parametrize(
    ("check", "twin"),
    [(DuplicateCheck.FLAG, Reason.BOOKED_POSSIBLE_DUPLICATE), (DuplicateCheck.REJECT, Reason.DUPLICATE)],
)
def test_a_cancelled_payment_has_no_twin_any_more(check: DuplicateCheck, twin: Reason, *, is_one_batch: bool) -> None:
    books = Books(an_invoice(), policies=[a_policy(duplicates=check)])
    requests = [paying(100, "1"), paying(100, "2"), a_cancel("1", "undo 1"), paying(100, "3"), paying(100, "4")]
    told = settle(books, *requests, is_one_batch=is_one_batch)
    # Where the second was flagged it is booked too, and so the third still has a twin.
    third = twin if check is DuplicateCheck.FLAG else Reason.BOOKED
    assert told == [Reason.BOOKED, twin, Reason.CANCELLED, third, twin]


def test_of_two_twins_that_are_booked_the_one_left_is_still_a_twin() -> None:
    books = Books(an_invoice(), policies=[a_policy(duplicates=DuplicateCheck.FLAG)])
    books.settle(paying(100, "1"), paying(100, "2"), a_cancel("2"))
    assert books.settle_one(paying(100, "3")).verdict.reason is Reason.BOOKED_POSSIBLE_DUPLICATE
    books.settle(a_cancel("3", "undo 3"), a_cancel("1", "undo 1"))
    assert books.settle_one(paying(100, "4")).verdict.reason is Reason.BOOKED


# The rule by itself.


def test_counter_entries_are_those_of_the_booking_line_by_line() -> None:
    booking = Booking(
        payment_id=1,
        currency="EUR",
        paydate=a_registration().paydate,
        payment_type=None,
        settled_by="money",
        surcharge_minor=0,
        wallet_id=None,
        lines=(
            BookedLine(1, 30, Components(10, 5, 3), Components(0, 1, 0), {"note": "a"}),
            BookedLine(2, 7, Components(7), NOTHING, {}),
            BookedLine(1, 4, Components(4), NOTHING, {}),
        ),
    )
    one, other = (
        an_invoice(50, 50, 50, allocated=Components(20, 20, 20)),
        an_invoice(9, number=2, allocated=Components(8)),
    )
    first, second, third = counter_entries(booking, {1: one, 2: other, 3: an_invoice(number=3)})
    assert first.line == Line(identifiers=(), amount_minor=-30, references={"note": "a"})
    assert (first.amount_minor, first.allocation, first.written_off, first.unfocused) == (
        -30,
        Components(-10, -5, -3),
        Components(0, -1, 0),
        -12,
    )
    assert (first.before, first.after) == (Components(30, 30, 30), Components(40, 36, 33))
    assert (second.before, second.after) == (Components(1), Components(8))
    assert (third.before, third.after) == (Components(40, 36, 33), Components(44, 36, 33))
    assert third.invoice_after is not None
    assert third.invoice_after.allocated == Components(6, 14, 17)
