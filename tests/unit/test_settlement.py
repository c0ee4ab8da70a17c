import copy
import json
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from schemas.limits import OUTCOME_BYTES_MAX
from schemas.outcome import Status
from schemas.registration import Identifier, Registration, WalletName
from tests.builders import (
    BILLCODE,
    BILLNUM,
    NOW,
    TODAY,
    Books,
    a_cancel,
    a_line,
    a_policy,
    a_registration,
    a_request,
    a_wallet,
    an_invalid_request,
    an_invoice,
    reasons,
)
from worker.domain.allocation import NOTHING, Components
from worker.domain.policy import DuplicateCheck, IdentifierRule, Overpayment
from worker.domain.settlement import Replayed, Settled, settle
from worker.domain.verdict import Reason
from worker.domain.view import Held, Moment

SECOND = timedelta(seconds=1)
AWAITING = a_policy(await_invoice_s=60)


# One key.


def test_the_same_request_again_is_answered_with_the_event_of_its_booking() -> None:
    books = Books(an_invoice())
    booked = books.settle_one(a_request())
    assert booked.changes_payment
    again = a_request(body=b"the same, said otherwise")
    assert books.settle(again) == [Replayed(again, booked.event_id)]
    assert books.open() == NOTHING


@pytest.mark.parametrize("first_says", [True, False])
def test_to_name_the_currency_that_a_payment_was_booked_in_is_to_say_the_same(*, first_says: bool) -> None:
    books = Books(an_invoice(200000))
    booked = books.settle_one(a_request(a_registration(states_currency=first_says)))
    again = a_request(a_registration(states_currency=not first_says))
    assert books.settle(again) == [Replayed(again, booked.event_id)]
    other_amount = a_request(a_registration(a_line(71001), states_currency=not first_says))
    assert books.settle_one(other_amount).verdict.reason is Reason.IDEMPOTENCY_CONFLICT


@pytest.mark.parametrize("first_says", [True, False])
def test_another_currency_than_a_payment_was_booked_in_is_a_conflict(*, first_says: bool) -> None:
    """One that names none comes after the company's has changed."""
    books = Books(an_invoice(200000))
    assert books.settle_one(a_request(a_registration(states_currency=first_says))).verdict.is_booked
    other = a_request(a_registration(currency="USD", states_currency=not first_says))
    assert books.settle_one(other).verdict.reason is Reason.IDEMPOTENCY_CONFLICT


def test_the_same_request_twice_in_a_batch_is_booked_once() -> None:
    books = Books(an_invoice(200000))
    first, second, third = books.settle(a_request(), a_request(), a_request())
    assert isinstance(first, Settled)
    assert first.verdict.is_booked
    assert [second, third] == [Replayed(a_request(), first.event_id)] * 2
    assert books.open() == Components(200000 - 71000)


def test_another_content_under_a_booked_key_is_a_conflict_that_names_the_payment_and_changes_nothing() -> None:
    books = Books(an_invoice(200000))
    booked = books.settle_one(a_request())
    held = books.view.held["acme", "key-1"]
    conflict = books.settle_one(a_request(a_registration(a_line(71001))))
    assert (conflict.verdict.status, conflict.verdict.reason) == (Status.FAIL, Reason.IDEMPOTENCY_CONFLICT)
    assert (
        conflict.verdict.text == f"The key belongs to payment {booked.payment_id}, which was booked with other content"
    )
    assert conflict.payment_id == booked.payment_id
    assert conflict.event_id != booked.event_id
    assert not conflict.changes_payment
    assert books.view.held["acme", "key-1"] == held
    assert books.open() == Components(200000 - 71000)
    assert books.settle(a_request()) == [Replayed(a_request(), booked.event_id)]


def test_a_conflict_is_told_whatever_else_is_wrong_with_the_other_content() -> None:
    books = Books(an_invoice())
    books.settle(a_request())
    elsewhere = a_request(a_registration(a_line(0, BILLNUM)))
    assert books.settle_one(elsewhere).verdict.reason is Reason.IDEMPOTENCY_CONFLICT


def test_a_conflict_tells_what_is_open_now() -> None:
    books = Books(an_invoice(200000))
    books.settle(a_request())
    (line,) = books.settle_one(a_request(a_registration(a_line(1)))).verdict.lines
    assert (line.before, line.allocation, line.unfocused) == (Components(200000 - 71000), NOTHING, 1)


def test_an_invalid_request_under_a_booked_key_changes_nothing() -> None:
    books = Books(an_invoice())
    booked = books.settle_one(a_request())
    invalid = books.settle_one(an_invalid_request())
    assert (invalid.verdict.status, invalid.verdict.reason) == (Status.FAIL, Reason.INVALID)
    assert invalid.verdict.text == "amount must be a finite number"
    assert not invalid.changes_payment
    assert books.settle(a_request()) == [Replayed(a_request(), booked.event_id)]


def test_a_request_that_was_invalid_is_booked_when_it_comes_mended() -> None:
    books = Books(an_invoice())
    invalid, booked = books.settle(an_invalid_request(), a_request())
    assert isinstance(invalid, Settled)
    assert isinstance(booked, Settled)
    assert invalid.changes_payment
    assert booked.verdict.is_booked
    assert booked.payment_id == invalid.payment_id
    assert booked.event_id != invalid.event_id


def test_all_that_is_wrong_with_an_invalid_request_stands_in_its_text() -> None:
    errors = ({"field": "amount", "message": "must not be negative"}, {"field": "paydate", "message": "Field required"})
    settled = Books().settle_one(an_invalid_request(errors=errors))
    assert settled.verdict.text == "amount must not be negative; paydate Field required"


def test_an_invalid_request_is_answered_each_time_anew() -> None:
    first, second = Books().settle(an_invalid_request(), an_invalid_request())
    assert reasons([first, second]) == [Reason.INVALID, Reason.INVALID]
    assert first.event_id != second.event_id


def test_a_refused_request_is_decided_anew_when_it_comes_again() -> None:
    request = a_request(a_registration(a_line(1, BILLNUM)))
    books = Books(an_invoice(names=[BILLCODE]))
    refused = books.settle_one(request)
    assert (refused.verdict.reason, refused.changes_payment) == (Reason.INVOICE_NOT_FOUND, True)
    books.view.named = {("acme", BILLNUM): 1}
    booked = books.settle_one(request)
    assert booked.verdict.is_booked
    assert booked.payment_id == refused.payment_id


def test_a_refused_key_may_come_with_other_content() -> None:
    books = Books(an_invoice(names=[BILLCODE]))
    assert books.settle_one(a_request(a_registration(a_line(5, BILLNUM)))).verdict.status is Status.NOT_FOUND
    assert books.settle_one(a_request(a_registration(a_line(6)))).verdict.is_booked


def test_a_payment_that_is_held_as_booked_is_replayed_from_the_books_alone() -> None:
    request = a_request()
    books = Books()
    books.view.held["acme", "key-1"] = Held(9, request.fingerprint, Status.OHISPAY, UUID(int=5))
    assert books.settle(request) == [Replayed(request, UUID(int=5))]
    books.view.held["acme", "key-1"] = Held(9, request.fingerprint, Status.NOT_FOUND, UUID(int=5))
    assert books.settle_one(request).payment_id == 9


def test_a_key_belongs_to_its_company_alone() -> None:
    policies = [a_policy(), a_policy(company="other")]
    books = Books(an_invoice(number=1), an_invoice(number=2, company="other"), policies=policies)
    mine, theirs = books.settle(a_request(), a_request(company="other"))
    assert reasons([mine, theirs]) == [Reason.BOOKED, Reason.BOOKED]
    assert (books.open(1), books.open(2)) == (NOTHING, NOTHING)


# Several payments in a batch.


def test_two_payments_on_one_invoice_see_each_other() -> None:
    books = Books(an_invoice(100000))
    first, second, third = books.settle(a_request(key="1"), a_request(key="2"), a_request(key="3"))
    assert reasons([first, second, third]) == [Reason.BOOKED, Reason.BOOKED, Reason.INVOICE_CLOSED]
    assert isinstance(second, Settled)
    (line,) = second.verdict.lines
    assert (line.before, line.allocation, line.unfocused) == (Components(29000), Components(29000), 42000)
    assert books.open() == NOTHING


def test_two_payments_on_one_invoice_are_together_no_overpayment_where_that_is_rejected() -> None:
    books = Books(an_invoice(100000), policies=[a_policy(overpayment=Overpayment.REJECT)])
    assert reasons(books.settle(a_request(key="1"), a_request(key="2"))) == [Reason.BOOKED, Reason.OVERPAYMENT]
    assert books.open() == Components(29000)


def test_a_refused_payment_leaves_the_invoice_to_the_next() -> None:
    books = Books(an_invoice(), policies=[a_policy(overpayment=Overpayment.REJECT)])
    too_much = a_request(a_registration(a_line(71001)), key="1")
    assert reasons(books.settle(too_much, a_request(key="2"))) == [Reason.OVERPAYMENT, Reason.BOOKED]


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_payment_that_is_too_large_to_be_told_leaves_the_invoice_to_the_next(cut: int) -> None:
    books = Books(an_invoice())
    too_large = a_registration(a_line(references={"note": "x" * OUTCOME_BYTES_MAX}))
    requests = [a_request(too_large, key="1"), a_request(key="2"), a_request(too_large, key="3"), a_request(key="2")]
    told = [each for start in range(0, 4, cut) for each in books.settle(*requests[start : start + cut])]
    assert reasons(told) == [Reason.OUTCOME_TOO_LARGE, Reason.BOOKED, Reason.INVOICE_CLOSED, "replayed"]
    assert [json.loads(each.body)["lines"] != [] for each in told if isinstance(each, Settled)] == [False, True, False]
    assert books.open() == NOTHING


def test_a_payment_that_is_too_large_to_be_told_tells_its_invoice_as_it_was() -> None:
    books = Books(an_invoice())
    closing = a_line(71000, references={"note": "x" * OUTCOME_BYTES_MAX})
    refused = books.settle_one(a_request(a_registration(closing, a_line(100))))
    assert refused.verdict.reason is Reason.OUTCOME_TOO_LARGE
    told = json.loads(refused.body)
    assert (told["capitalbefore"], told["capitalafter"], told["invoicestate"]) == ("710.00", "710.00", "OPEN")
    assert [line.before for line in refused.verdict.lines] == [Components(71000)] * 2


def test_the_view_that_a_batch_is_settled_against_stays_as_it_was() -> None:
    books = Books(an_invoice(200000), wallets=[a_wallet()])
    drawn = a_registration(wallet=WalletName("number", "W1"))
    requests = [a_request(key="1"), a_request(drawn, key="2"), a_cancel("1", "undo 1")]
    view = books.view
    view.held.update((request.identity, Held(number)) for number, request in enumerate(requests))
    before = copy.deepcopy(view)
    assert reasons(books.settle(*requests)) == [Reason.BOOKED, Reason.BOOKED, Reason.CANCELLED]
    assert view == before
    for name in ("held", "invoices", "twins", "wallets", "bookings"):
        assert getattr(books.view, name) != getattr(before, name), name


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (DuplicateCheck.OFF, Reason.BOOKED),
        (DuplicateCheck.FLAG, Reason.BOOKED_POSSIBLE_DUPLICATE),
        (DuplicateCheck.REJECT, Reason.DUPLICATE),
    ],
)
def test_twins_in_a_batch_are_seen(check: DuplicateCheck, reason: Reason) -> None:
    books = Books(an_invoice(200000), policies=[a_policy(duplicates=check)])
    assert reasons(books.settle(a_request(key="1"), a_request(key="2"))) == [Reason.BOOKED, reason]


@pytest.mark.parametrize(
    "other",
    [
        a_registration(paydate=TODAY - timedelta(days=1)),
        a_registration(payment_type="cash"),
        a_registration(a_line(70999)),
        a_registration(a_line(71000, Identifier("billcode", "other"))),
    ],
    ids=["date", "type", "amount", "invoice"],
)
def test_payments_that_differ_in_one_thing_are_no_twins(other: Registration) -> None:
    invoices = (an_invoice(200000), an_invoice(200000, number=2, names=[Identifier("billcode", "other")]))
    books = Books(*invoices, policies=[a_policy(duplicates=DuplicateCheck.REJECT)])
    assert reasons(books.settle(a_request(key="1"), a_request(other, key="2"))) == [Reason.BOOKED, Reason.BOOKED]


def test_a_refused_payment_has_no_twin() -> None:
    policy = a_policy(duplicates=DuplicateCheck.REJECT, overpayment=Overpayment.REJECT)
    books = Books(an_invoice(100), policies=[policy])
    assert reasons(books.settle(a_request(key="1"), a_request(key="2"))) == [Reason.OVERPAYMENT, Reason.OVERPAYMENT]


def test_several_lines_are_booked_together() -> None:
    other = Identifier("billcode", "other")
    books = Books(an_invoice(), an_invoice(5000, number=2, names=[other]))
    registration = a_registration(a_line(1000), a_line(300, other), a_line(500))
    assert books.settle_one(a_request(registration)).verdict.is_booked
    assert (books.open(1), books.open(2)) == (Components(69500), Components(4700))


def test_each_company_has_its_own_policy_and_its_own_invoices() -> None:
    strict = a_policy(company="strict", overpayment=Overpayment.REJECT, identifiers=IdentifierRule.ALL)
    books = Books(an_invoice(100), an_invoice(100, number=2, company="strict"), policies=[a_policy(), strict])
    assert reasons(books.settle(a_request(), a_request(company="strict"))) == [Reason.BOOKED, Reason.OVERPAYMENT]
    two_names = a_registration(a_line(5, BILLNUM, Identifier("jobid", "404")))
    agreeing, disagreeing = books.settle(a_request(two_names, key="2"), a_request(two_names, key="2", company="strict"))
    assert reasons([agreeing, disagreeing]) == [Reason.INVOICE_CLOSED, Reason.IDENTIFIERS_DISAGREE]


def test_another_companys_invoice_is_told_of_or_hidden_and_never_changed() -> None:
    policies = [a_policy(), a_policy(company="hiding", hide_foreign=True), a_policy(company="owner")]
    books = Books(an_invoice(company="owner"), policies=policies)
    seen = books.settle(a_request(), a_request(company="hiding"), a_request(company="owner"))
    assert reasons(seen) == [Reason.INVOICE_OF_ANOTHER_COMPANY, Reason.INVOICE_NOT_FOUND, Reason.BOOKED]


# Left undone.


def test_an_unknown_invoice_is_awaited_and_asked_for_again_soon() -> None:
    settled = Books(policies=[AWAITING]).settle_one(a_request(a_registration(a_line(1, BILLCODE, BILLNUM))))
    assert (settled.verdict.status, settled.verdict.reason) == (Status.UNDONE, Reason.INVOICE_AWAITED)
    assert (settled.awaited_since, settled.wake_at) == (NOW, NOW + 5 * SECOND)
    assert settled.awaits == (BILLCODE, BILLNUM)


def test_a_payment_of_several_lines_awaits_each_of_their_invoices() -> None:
    registration = a_registration(a_line(1, BILLCODE), a_line(1, BILLNUM))
    assert Books(policies=[AWAITING]).settle_one(a_request(registration)).awaits == (BILLCODE, BILLNUM)


def test_it_is_asked_for_no_later_than_the_wait_ends() -> None:
    settled = Books(policies=[a_policy(await_invoice_s=3)]).settle_one(a_request())
    assert settled.wake_at == NOW + 3 * SECOND


def test_what_is_not_left_undone_is_not_looked_at_again() -> None:
    for settled in (
        Books(an_invoice()).settle_one(a_request()),
        Books().settle_one(a_request()),
        Books().settle_one(an_invalid_request()),
    ):
        assert (settled.awaited_since, settled.wake_at, settled.awaits) == (None, None, ())


def test_a_payment_that_is_still_undone_when_looked_at_again_says_nothing() -> None:
    books = Books(policies=[AWAITING])
    books.settle(a_request())
    held = dict(books.view.held)
    assert books.settle(a_request().again(), now=NOW + 30 * SECOND) == []
    assert books.view.held == held


def test_a_payment_that_is_still_undone_when_it_comes_again_is_answered_and_waits_no_longer_for_that() -> None:
    books = Books(policies=[AWAITING])
    first = books.settle_one(a_request())
    again = books.settle_one(a_request(), now=NOW + 57 * SECOND)
    assert again.verdict.reason is Reason.INVOICE_AWAITED
    assert again.event_id != first.event_id
    assert (again.awaited_since, again.wake_at) == (NOW, NOW + 60 * SECOND)


def test_the_wait_ends_when_its_time_is_over() -> None:
    books = Books(policies=[AWAITING])
    books.settle(a_request())
    assert books.settle(a_request().again(), now=NOW + 60 * SECOND - timedelta(microseconds=1)) == []
    over = books.settle_one(a_request().again(), now=NOW + 60 * SECOND)
    assert over.verdict.reason is Reason.INVOICE_NOT_FOUND
    assert over.wake_at is None
    assert books.view.held["acme", "key-1"].awaited_since is None


def test_a_payment_whose_invoice_has_arrived_is_booked_when_looked_at_again() -> None:
    books = Books(an_invoice(), policies=[AWAITING])
    arrived, books.view.named = books.view.named, {}
    undone = books.settle_one(a_request())
    books.view.named = arrived
    booked = books.settle_one(a_request().again(), now=NOW + 30 * SECOND)
    assert booked.verdict.is_booked
    assert booked.payment_id == undone.payment_id
    assert (booked.awaited_since, booked.wake_at) == (None, None)


def test_a_company_that_does_not_wait_is_answered_at_once() -> None:
    assert Books().settle_one(a_request()).verdict.reason is Reason.INVOICE_NOT_FOUND


def test_a_payment_date_in_the_future_is_looked_at_on_that_day() -> None:
    settled = Books(an_invoice()).settle_one(a_request(a_registration(paydate=date(2017, 10, 12))))
    assert settled.verdict.reason is Reason.PAYDATE_IN_FUTURE
    assert settled.awaited_since == settled.wake_at == datetime(2017, 10, 12, tzinfo=UTC)
    assert settled.awaits == (BILLCODE,)


def test_on_that_day_it_is_booked() -> None:
    books = Books(an_invoice())
    request = a_request(a_registration(paydate=date(2017, 10, 12)))
    wake_at = books.settle_one(request).wake_at
    assert wake_at is not None
    assert books.settle(request.again(), now=wake_at - SECOND) == []
    assert books.settle_one(request.again(), now=wake_at).verdict.is_booked


def test_the_wait_for_an_invoice_begins_on_the_payment_date() -> None:
    books = Books(policies=[AWAITING])
    request = a_request(a_registration(paydate=date(2017, 10, 12)))
    wake_at = books.settle_one(request).wake_at
    assert wake_at is not None
    assert books.settle(request.again(), now=wake_at + 59 * SECOND) == []
    assert books.settle_one(request.again(), now=wake_at + 60 * SECOND).verdict.reason is Reason.INVOICE_NOT_FOUND


def test_a_payment_whose_date_was_too_late_and_is_mended_waits_as_long_as_any_other() -> None:
    books = Books(policies=[AWAITING])
    books.settle(a_request(a_registration(paydate=date(9999, 12, 31))))
    mended = books.settle_one(a_request())
    assert mended.verdict.reason is Reason.INVOICE_AWAITED
    assert (mended.awaited_since, mended.wake_at) == (NOW, NOW + 5 * SECOND)
    assert books.settle_one(a_request().again(), now=NOW + 60 * SECOND).verdict.reason is Reason.INVOICE_NOT_FOUND


def test_a_payment_whose_date_was_too_late_and_is_mended_waits_for_nothing_where_its_company_does_not() -> None:
    books = Books()
    books.settle(a_request(a_registration(paydate=date(2999, 1, 1))))
    assert books.settle_one(a_request()).verdict.reason is Reason.INVOICE_NOT_FOUND


def test_the_last_day_of_the_calendar_can_come_again_and_again() -> None:
    books = Books(policies=[a_policy(await_invoice_s=2**31 - 1)])
    request = a_request(a_registration(paydate=date(9999, 12, 31)))
    assert books.settle_one(request).wake_at == datetime(9999, 12, 30, tzinfo=UTC)
    assert books.settle_one(request).verdict.reason is Reason.PAYDATE_IN_FUTURE
    assert books.settle(request.again()) == []


def test_the_day_is_that_of_the_time_zone() -> None:
    helsinki = ZoneInfo("Europe/Helsinki")
    late = datetime(2017, 10, 9, 21, 30, tzinfo=UTC)
    assert (Moment(late).today, Moment(late, helsinki).today) == (date(2017, 10, 9), TODAY)
    books = Books(an_invoice(200000))

    def settled(moment: Moment, key: str) -> Settled:
        (item,), _ = settle([a_request(key=key)], books.view, books.policies, moment, lambda: UUID(int=1))
        assert isinstance(item, Settled)
        return item

    assert settled(Moment(late, helsinki), "1").verdict.is_booked
    early = settled(Moment(late), "2")
    assert (early.verdict.reason, early.wake_at) == (Reason.PAYDATE_IN_FUTURE, datetime(2017, 10, 10, tzinfo=UTC))
    before = settled(Moment(late - timedelta(hours=1), helsinki), "3")
    assert before.wake_at == datetime(2017, 10, 9, 21, tzinfo=UTC)


def test_one_event_id_is_taken_for_each_new_event_and_none_for_a_replay() -> None:
    books = Books(an_invoice(200000), policies=[AWAITING])
    unknown = a_request(a_registration(a_line(1, Identifier("jobid", "404"))), key="2")
    settlements = books.settle(a_request(), a_request(), unknown, unknown.again(), an_invalid_request("3"))
    assert [item.event_id.int for item in settlements] == [1, 1, 2, 3]
