"""Which payment a cancellation names, and what becomes of the keys of both."""

import pytest

from schemas.outcome import Status
from tests.builders import (
    Books,
    a_cancel,
    a_line,
    a_policy,
    a_registration,
    a_request,
    an_invalid_request,
    an_invoice,
    reasons,
)
from tests.unit.decisions import settle
from worker.domain.allocation import Components
from worker.domain.request import Request
from worker.domain.settlement import Replayed
from worker.domain.verdict import CancelledPayment, Reason

PAID = Components(0)
OWED = Components(71000)


def is_marked(books: Books, key: str = "key-1", company: str = "acme") -> bool:
    return books.view.held[company, key].is_cancelled


# Done, and again.


def test_the_same_cancellation_again_is_answered_with_its_event() -> None:
    books = Books(an_invoice())
    books.settle(a_request())
    done = books.settle_one(a_cancel())
    for again in (a_cancel(body=b"said otherwise"), a_cancel(why="for another reason")):
        assert books.settle(again) == [Replayed(again, done.event_id)]
    assert books.open() == OWED


def test_a_cancellation_under_another_key_says_that_it_was_done_before(*, is_one_batch: bool) -> None:
    books = Books(an_invoice())
    told = settle(books, a_request(), a_cancel(), a_cancel(key="cancel-2"), a_cancel(), is_one_batch=is_one_batch)
    assert told == [Reason.BOOKED, Reason.CANCELLED, Reason.ALREADY_CANCELLED, "replayed"]
    assert books.open() == OWED
    settled = books.settle_one(a_cancel(key="cancel-2"))
    assert (settled.verdict.status, settled.verdict.amount_minor) == (Status.CANCELLED, 0)
    assert settled.verdict.text == "The payment was cancelled before; nothing changes"
    assert settled.verdict.cancels == CancelledPayment("key-1", 1)


@pytest.mark.parametrize(
    "other",
    [a_cancel("key-2"), a_request(key="cancel-1")],
    ids=["another payment's cancellation", "a payment"],
)
def test_other_content_under_the_key_of_a_cancellation_that_was_done_is_a_conflict(other: Request) -> None:
    books = Books(an_invoice(200000))
    books.settle(a_request(), a_request(key="key-2"))
    done = books.settle_one(a_cancel())
    held = dict(books.view.held)
    conflict = books.settle_one(other)
    assert (conflict.verdict.status, conflict.verdict.reason) == (Status.FAIL, Reason.IDEMPOTENCY_CONFLICT)
    assert (conflict.payment_id, conflict.changes_payment) == (done.payment_id, False)
    assert books.view.held == held
    assert books.open() == Components(200000 - 71000)


def test_a_cancellation_that_was_not_done_is_decided_anew_when_it_comes_again() -> None:
    books = Books(an_invoice())
    assert books.settle_one(a_cancel("nobody")).verdict.reason is Reason.PAYMENT_NOT_FOUND
    books.settle(a_request())
    assert books.settle_one(a_cancel()).verdict.reason is Reason.CANCELLED


def test_a_cancellation_that_cannot_be_read_cancels_nothing() -> None:
    books = Books(an_invoice())
    books.settle(a_request())
    invalid = an_invalid_request("cancel-1", source=a_cancel().source)
    assert books.settle_one(invalid).verdict.reason is Reason.INVALID
    assert not is_marked(books)
    assert books.settle_one(a_cancel()).verdict.reason is Reason.CANCELLED


# The payment's key after it.


def test_the_same_payment_again_is_replayed_and_changes_nothing() -> None:
    books = Books(an_invoice())
    booked = books.settle_one(a_request())
    books.settle(a_cancel())
    held = books.view.held["acme", "key-1"]
    assert books.settle(a_request()) == [Replayed(a_request(), booked.event_id)]
    assert books.view.held["acme", "key-1"] == held
    assert books.open() == OWED


def test_another_content_under_its_key_is_still_a_conflict() -> None:
    books = Books(an_invoice())
    books.settle(a_request(), a_cancel())
    other = a_request(a_registration(a_line(5)))
    assert books.settle_one(other).verdict.reason is Reason.IDEMPOTENCY_CONFLICT
    assert books.open() == OWED


def test_the_payment_can_be_registered_anew_under_a_new_key_and_cancelled_anew(*, is_one_batch: bool) -> None:
    books = Books(an_invoice())
    requests = a_request(), a_cancel(), a_request(key="key-2"), a_cancel("key-2", "cancel-2")
    told = settle(books, *requests, is_one_batch=is_one_batch)
    assert told == [Reason.BOOKED, Reason.CANCELLED] * 2
    assert books.open() == OWED


# No payment at all.


def test_a_cancellation_cannot_be_cancelled(*, is_one_batch: bool) -> None:
    books = Books(an_invoice())
    told = settle(books, a_request(), a_cancel(), a_cancel("cancel-1", "cancel-2"), is_one_batch=is_one_batch)
    assert told == [Reason.BOOKED, Reason.CANCELLED, Reason.PAYMENT_IS_CANCELLATION]
    assert books.open() == OWED
    assert not is_marked(books, "cancel-1")
    verdict = books.settle_one(a_cancel("cancel-1", "cancel-2")).verdict
    assert verdict.status is Status.FAIL
    assert verdict.cancels == CancelledPayment("cancel-1", 2)
    assert "register the payment under a new key" in verdict.text


@pytest.mark.parametrize("named", ["key-1", "key-2"], ids=["itself", "another"])
def test_a_cancellation_whose_own_key_is_a_booked_payments_is_a_conflict_and_leaves_no_mark(named: str) -> None:
    books = Books(an_invoice(200000))
    booked = books.settle_one(a_request())
    books.settle(a_request(key="key-2"))
    conflict = books.settle_one(a_cancel(named, key="key-1"))
    assert (conflict.verdict.status, conflict.verdict.reason) == (Status.FAIL, Reason.IDEMPOTENCY_CONFLICT)
    assert (conflict.payment_id, conflict.changes_payment) == (booked.payment_id, False)
    assert not is_marked(books, named)
    assert books.open() == Components(200000 - 2 * 71000)


def test_every_reason_of_a_cancellation_is_reached() -> None:
    books = Books(an_invoice(), policies=[a_policy(), a_policy(company="other")])
    books.settle(a_request(), an_invalid_request("invalid"))
    told = reasons(
        books.settle(
            a_cancel("key-1", company="other"),
            a_cancel("nobody"),
            a_cancel("invalid"),
            a_cancel("key-1", key="c"),
            a_cancel("key-1", key="d"),
            a_cancel("c", key="e"),
        )
    )
    assert told == [
        Reason.PAYMENT_OF_ANOTHER_COMPANY,
        Reason.PAYMENT_NOT_FOUND,
        Reason.PAYMENT_NOT_BOOKED,
        Reason.CANCELLED,
        Reason.ALREADY_CANCELLED,
        Reason.PAYMENT_IS_CANCELLATION,
    ]
