from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from schemas.codec import parse
from schemas.invalid import InvalidMessageError
from schemas.invoice import InvoicePut
from schemas.registration import IDENTIFIER_KINDS, Identifier
from tests.builders import COMPANY, a_put, an_invoice
from worker.domain.allocation import Components
from worker.domain.errors import DeadLetterReason, RefusedError
from worker.domain.invoice import Invoice
from worker.domain.statement import Statement, state

PAID = an_invoice(71000, 2000, 500, allocated=Components(50000, 2000, 0), version=5)


def stated(put: InvoicePut, *known: Invoice, company_currency: str = "EUR") -> Statement | None:
    return state(put, COMPANY, company_currency, known)


def refusal(put: InvoicePut, *known: Invoice) -> tuple[str, str]:
    with pytest.raises(RefusedError) as refused:
        stated(put, *known)
    assert refused.value.reason is DeadLetterReason.INVALID
    (error,) = refused.value.errors
    assert refused.value.text == f"{error['field']} {error['message']}"
    return error["field"], error["message"]


def test_an_invoice_that_is_not_known_is_new() -> None:
    put = a_put(interest="1.50", noticefee=5)
    assert stated(put) == Statement(COMPANY, None, put, "EUR", Components(71000, 150, 500))


def test_an_invoice_that_is_known_is_stated_anew() -> None:
    put = a_put(capital="800", version=6)
    assert stated(put, an_invoice(number=7, version=5)) == Statement(COMPANY, 7, put, "EUR", Components(80000, 0, 0))


@pytest.mark.parametrize("version", [4, 5])
def test_a_version_not_above_the_one_held_is_ignored_whatever_it_states(version: int) -> None:
    assert stated(a_put(version=version, capital="0.001"), PAID) is None


def test_the_next_version_is_taken_and_versions_may_be_left_out() -> None:
    for version in (6, 2**63 - 1):
        assert stated(a_put(version=version, interest=20), PAID) is not None


def test_identifiers_of_two_invoices_are_refused_whatever_the_version() -> None:
    known = (an_invoice(number=1, version=9), an_invoice(number=2, version=9))
    assert refusal(a_put(), *known) == ("message", "has identifiers of several invoices")


def test_one_invoice_found_under_two_of_its_names_is_one() -> None:
    assert stated(a_put(version=6), an_invoice(version=5), an_invoice(version=5)) is not None


def test_what_is_stated_may_fall_to_what_is_allocated_but_not_below() -> None:
    assert stated(a_put(version=6, capital=500, interest=20), PAID) is not None
    told = "is less than what is already allocated: cancel payments first"
    assert refusal(a_put(version=6, capital="499.99", interest=20), PAID) == ("capital", told)
    assert refusal(a_put(version=6, interest="19.99"), PAID) == ("interest", told)
    paid_fee = an_invoice(0, 0, 500, allocated=Components(0, 0, 500))
    assert refusal(a_put(version=6, noticefee="4.99"), paid_fee) == ("noticefee", told)


def test_without_a_currency_it_is_the_invoices_and_of_a_new_one_the_companys() -> None:
    in_yen = stated(a_put(capital=800, version=2), an_invoice(800, currency="JPY"))
    new = stated(a_put(capital="1.125"), company_currency="KWD")
    assert in_yen is not None
    assert (in_yen.currency, in_yen.stated.capital) == ("JPY", 800)
    assert new is not None
    assert (new.currency, new.stated.capital) == ("KWD", 1125)


def test_the_currency_can_change_until_a_payment_is_booked() -> None:
    changed = stated(a_put(currency="USD", version=2), an_invoice())
    assert changed is not None
    assert changed.currency == "USD"
    told = ("currency", "cannot change from EUR: payments are booked in it")
    assert refusal(a_put(currency="USD", version=6, capital=1000, interest=1000), PAID) == told


@pytest.mark.parametrize("name", ["capital", "interest", "noticefee"])
def test_more_digits_than_the_currency_has_are_refused(name: str) -> None:
    assert refusal(a_put(**{name: "0.001"})) == (name, "has more than the 2 decimal digits of EUR")


def test_an_invoice_needs_a_name_a_capital_and_a_version_and_no_more() -> None:
    put = parse(InvoicePut, {"billcode": "1", "capital": 0, "version": 0})
    assert put.interest == put.noticefee == 0
    assert (put.state, put.currency, put.due_date, put.account) == ("OPEN", None, None, None)


@pytest.mark.parametrize("kind", IDENTIFIER_KINDS)
def test_any_one_identifier_names_an_invoice(kind: str) -> None:
    put = parse(InvoicePut, {kind: "42", "capital": 0, "version": 0})
    assert put.identifiers() == ((kind, "42"),)


def test_all_identifiers_given_are_names_of_the_invoice() -> None:
    put = a_put(jobid="007", external_id="x", billnum="")
    assert put.identifiers() == (("billcode", "1234567"), ("jobid", "7"), ("external_id", "x"))


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"billcode": None}, "message"),
        ({"billcode": 5}, "billcode"),
        ({"jobid": "x"}, "jobid"),
        ({"capital": None}, "capital"),
        ({"capital": -1}, "capital"),
        ({"interest": True}, "interest"),
        ({"noticefee": "NaN"}, "noticefee"),
        ({"version": None}, "version"),
        ({"version": -1}, "version"),
        ({"version": 2**63}, "version"),
        ({"state": "open"}, "state"),
        ({"currency": "eur"}, "currency"),
        ({"due_date": "2017-02-29"}, "due_date"),
        ({"account": "192"}, "account"),
        ({"account": {"id": 192}}, "account.id"),
        ({"account": {"name": "\x00"}}, "account.name"),
    ],
    ids=str,
)
def test_an_invalid_invoice_is_refused_with_the_field(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        parse(InvoicePut, {"billcode": "1234567", "capital": "710.00", "version": 1} | changes)
    assert [error["field"] for error in refused.value.errors] == [wrong]


def test_all_that_an_owner_may_say_of_an_invoice_is_read() -> None:
    said = {"state": "CLOSED", "currency": "KWD", "due_date": "2017-11-01", "account": {"number": "192", "more": 1}}
    put = a_put(**said)
    assert (put.state, put.currency, put.due_date, put.capital) == ("CLOSED", "KWD", date(2017, 11, 1), Decimal(710))
    assert put.account is not None
    assert (put.account.id, put.account.number, put.account.name) == (None, "192", None)


# The invoice itself.


def test_what_is_open_is_what_was_stated_less_what_was_allocated() -> None:
    assert PAID.open == Components(21000, 0, 500)
    assert PAID.booked(Components(1000, 0, 500)).open == Components(20000, 0, 0)
    assert PAID.booked(Components(1000, 0, 500)).stated == PAID.stated


@pytest.mark.parametrize(
    ("invoice", "state_told"),
    [
        (an_invoice(), "OPEN"),
        (an_invoice(0), "CLOSED"),
        (an_invoice(0, 0, 1), "OPEN"),
        (an_invoice(allocated=Components(71000)), "CLOSED"),
        (an_invoice(state="CLOSED"), "CLOSED"),
        (an_invoice(state="CANCELLED"), "CANCELLED"),
        (an_invoice(0, state="CANCELLED"), "CANCELLED"),
    ],
)
def test_an_invoice_is_closed_where_nothing_is_open_or_its_owner_says_so(invoice: Invoice, state_told: str) -> None:
    assert invoice.state == state_told


def test_an_invoice_has_the_names_it_was_given_and_no_other() -> None:
    assert PAID.has(Identifier("billcode", "1234567"))
    assert not PAID.has(Identifier("billnum", "1234567"))
    assert not PAID.has(Identifier("jobid", "1234567"))
