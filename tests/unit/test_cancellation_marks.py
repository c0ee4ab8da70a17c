"""Cancellations of what is not booked: not come yet, refused, another company's. The key they name is marked."""

from typing import Any
from uuid import UUID

from schemas.codec import read_json
from schemas.outcome import Status
from tests.builders import (
    NOW,
    Books,
    a_cancel,
    a_line,
    a_policy,
    a_registration,
    a_request,
    an_invalid_request,
    an_invoice,
)
from tests.unit.decisions import settle
from worker.domain.allocation import Components
from worker.domain.verdict import CancelledPayment, Reason
from worker.domain.view import Held, View

PAID = Components(0)
OWED = Components(71000)


def is_marked(books: Books, key: str = "key-1", company: str = "acme") -> bool:
    return books.view.held[company, key].is_cancelled


# The payment has not come yet.


def test_a_cancellation_before_its_payment_leaves_a_mark_and_the_payment_is_not_booked(*, is_one_batch: bool) -> None:
    books = Books(an_invoice())
    told = settle(books, a_cancel(), a_request(), a_request(), is_one_batch=is_one_batch)
    assert told == [Reason.PAYMENT_NOT_FOUND, Reason.PAYMENT_CANCELLED, Reason.PAYMENT_CANCELLED]
    assert books.open() == OWED
    assert is_marked(books)


def test_payment_and_cancellation_come_to_the_same_in_either_order(*, is_one_batch: bool) -> None:
    for requests in ([a_request(), a_cancel()], [a_cancel(), a_request()]):
        books = Books(an_invoice())
        settle(books, *requests, is_one_batch=is_one_batch)
        assert books.open() == OWED
        assert is_marked(books)


def test_what_it_says_of_a_payment_that_is_unknown() -> None:
    books = Books(an_invoice())
    settled = books.settle_one(a_cancel())
    assert (settled.verdict.status, settled.verdict.amount_minor) == (Status.NOT_FOUND, 0)
    told: Any = read_json(settled.body)
    assert told["cancels"] == {"payment_id": None, "idempotency_key": "key-1"}
    assert (told["amount"], told["paydate"], told["settled_by"], told["lines"]) == ("0.00", None, None, [])
    assert told["statustext"] == "No payment under that key; should it come, it will not be booked"
    assert not books.view.held["acme", "key-1"].has_come
    assert books.settle_one(a_cancel(key="cancel-2")).verdict.reason is Reason.PAYMENT_NOT_FOUND


def test_what_it_says_of_the_payment_that_came_too_late() -> None:
    books = Books(an_invoice())
    books.settle(a_cancel())
    settled = books.settle_one(a_request())
    assert (settled.verdict.status, settled.verdict.reason) == (Status.CANCELLED, Reason.PAYMENT_CANCELLED)
    told: Any = read_json(settled.body)
    assert (told["amount"], told["unfocused"], told["capitalbefore"]) == ("710.00", "710.00", "710.00")
    assert (told["cancels"], told["settled_by"]) == (None, "money")


def test_a_mark_that_the_books_hold_is_no_payment_that_has_come() -> None:
    books = Books(an_invoice())
    books.view.held["acme", "key-1"] = Held(9, status=Status.CANCELLED, is_cancelled=True)
    settled = books.settle_one(a_cancel())
    assert (settled.verdict.reason, settled.verdict.cancels) == (
        Reason.PAYMENT_NOT_FOUND,
        CancelledPayment("key-1", None),
    )
    late = books.settle_one(a_request())
    assert (late.verdict.reason, late.payment_id) == (Reason.PAYMENT_CANCELLED, 9)


def test_a_mark_holds_for_any_content_and_for_its_company_alone() -> None:
    books = Books(an_invoice(), an_invoice(number=2, company="other"), policies=[a_policy(), a_policy(company="other")])
    books.settle(a_cancel())
    assert books.settle_one(a_request(a_registration(a_line(5)))).verdict.reason is Reason.PAYMENT_CANCELLED
    assert books.settle_one(a_request(company="other")).verdict.is_booked


def test_an_invalid_payment_does_not_wipe_the_mark_away() -> None:
    books = Books(an_invoice())
    books.settle(a_cancel(), an_invalid_request())
    assert books.settle_one(a_request()).verdict.reason is Reason.PAYMENT_CANCELLED


# The payment was not booked.


def test_a_payment_that_was_not_booked_will_not_be(*, is_one_batch: bool) -> None:
    too_much = a_request(a_registration(a_line(71001), refuses_overpayment=True))
    books = Books(an_invoice())
    told = settle(books, too_much, a_cancel(), a_request(), a_cancel(key="cancel-2"), is_one_batch=is_one_batch)
    assert told == [
        Reason.OVERPAYMENT,
        Reason.PAYMENT_NOT_BOOKED,
        Reason.PAYMENT_CANCELLED,
        Reason.PAYMENT_NOT_BOOKED,
    ]
    assert books.open() == OWED


def test_what_it_says_of_a_payment_that_was_not_booked() -> None:
    books = Books()
    refused = books.settle_one(a_request())
    settled = books.settle_one(a_cancel())
    assert settled.verdict.status is Status.CANCELLED
    assert settled.verdict.text == "The payment was not booked; it will not be"
    assert settled.verdict.cancels == CancelledPayment("key-1", refused.payment_id)


def test_a_payment_that_was_left_undone_gets_its_last_event_when_it_is_looked_at_again() -> None:
    books = Books(an_invoice(), policies=[a_policy(await_invoice_s=60)])
    arrived, books.view.named = books.view.named, {}
    undone = books.settle_one(a_request())
    assert undone.verdict.reason is Reason.INVOICE_AWAITED
    assert books.settle_one(a_cancel()).verdict.reason is Reason.PAYMENT_NOT_BOOKED
    books.view.named = arrived
    last = books.settle_one(a_request().again(), now=NOW)
    assert (last.verdict.reason, last.wake_at) == (Reason.PAYMENT_CANCELLED, None)
    assert books.settle(a_request().again(), now=NOW) == []
    assert books.open() == OWED


def test_a_payment_that_comes_in_as_cancelled_is_not_booked_and_its_key_is_not_used_up() -> None:
    books = Books(an_invoice())
    settled = books.settle_one(a_request(a_registration(is_cancelled=True)))
    assert (settled.verdict.status, settled.verdict.reason) == (Status.CANCELLED, Reason.PAYMENT_CANCELLED)
    assert not is_marked(books)
    assert books.open() == OWED
    assert books.settle_one(a_request()).verdict.reason is Reason.BOOKED


# Another company's.


def test_another_companys_payment_is_told_as_such_and_never_touched(*, is_one_batch: bool) -> None:
    books = Books(
        an_invoice(), policies=[a_policy(), a_policy(company="nosy"), a_policy(company="hiding", hide_foreign=True)]
    )
    requests = a_request(), a_cancel(company="nosy"), a_cancel(company="hiding")
    told = settle(books, *requests, is_one_batch=is_one_batch)
    assert told == [Reason.BOOKED, Reason.PAYMENT_OF_ANOTHER_COMPANY, Reason.PAYMENT_NOT_FOUND]
    assert books.open() == PAID
    assert not is_marked(books)
    assert is_marked(books, company="nosy")
    assert is_marked(books, company="hiding")


def test_another_companys_payment_is_one_of_the_books_or_of_the_batch() -> None:
    held = {
        ("acme", "own"): Held(1, event_id=UUID(int=1)),
        ("acme", "in the batch"): Held(2),
        ("other", "in the batch"): Held(3, event_id=UUID(int=3)),
        ("acme", "marked there"): Held(4),
        ("other", "marked there"): Held(5, is_cancelled=True),
    }
    view = View(held=held, invoices={}, named={}, foreign_payments=frozenset({("acme", "in the books")}))
    keys = ("own", "in the batch", "marked there", "in the books", "nowhere")
    assert [key for key in keys if view.is_foreign_payment(("acme", key))] == ["in the batch", "in the books"]


def test_what_it_says_of_another_companys_payment() -> None:
    books = Books(an_invoice(), policies=[a_policy(), a_policy(company="nosy")])
    books.settle(a_request())
    settled = books.settle_one(a_cancel(company="nosy"))
    assert (settled.verdict.status, settled.verdict.lines) == (Status.DIFFCID, ())
    assert settled.verdict.text == "The payment is another company's"
    assert settled.verdict.cancels == CancelledPayment("key-1", None)


def test_where_foreign_payments_are_hidden_one_is_answered_just_like_none() -> None:
    policies = [a_policy(), a_policy(company="hiding", hide_foreign=True)]
    books, empty = Books(an_invoice(), policies=policies), Books(policies=policies)
    books.settle(a_request())
    hidden, none = (found.settle_one(a_cancel(company="hiding")) for found in (books, empty))
    assert hidden.verdict == none.verdict


def test_ones_own_payment_is_cancelled_though_another_company_uses_the_same_key() -> None:
    invoices = an_invoice(), an_invoice(number=2, company="other")
    books = Books(*invoices, policies=[a_policy(), a_policy(company="other")])
    books.settle(a_request(), a_request(company="other"))
    assert books.settle_one(a_cancel()).verdict.reason is Reason.CANCELLED
    assert (books.open(1), books.open(2)) == (OWED, PAID)


def test_what_only_another_companys_cancellation_named_is_nobodys() -> None:
    books = Books(policies=[a_policy(), a_policy(company="other")])
    books.settle(a_cancel(company="other"))
    assert books.settle_one(a_cancel(key="cancel-2")).verdict.reason is Reason.PAYMENT_NOT_FOUND
