from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from schemas.codec import read_json
from schemas.outcome import Breakdown
from schemas.registration import IDENTIFIER_KINDS, Identifier, Line
from tests.builders import (
    BILLCODE,
    BILLNUM,
    NOW,
    Books,
    a_line,
    a_policy,
    a_registration,
    a_request,
    an_invalid_request,
    an_invoice,
)
from worker.domain.allocation import Components
from worker.domain.invoice import Invoice
from worker.domain.outcome import compose
from worker.domain.request import Request

OTHER = Identifier("billcode", "other")
NAMES = (Identifier("jobid", "42"), BILLCODE, BILLNUM)
AMOUNTS = [name for name in Breakdown.__annotations__ if name.endswith(("before", "after")) or "focused" in name]


def outcome(request: Request, *invoices: Invoice, currency: str = "EUR", now: datetime = NOW) -> dict[str, Any]:
    body: Any = read_json(Books(*invoices, policies=[a_policy(currency=currency)]).settle_one(request, now).body)
    assert isinstance(body, dict)
    return body


def outcome_of(*lines: Line, invoices: tuple[Invoice, ...]) -> dict[str, Any]:
    return outcome(a_request(a_registration(*lines)), *invoices)


def test_an_outcome_tells_all_of_a_booked_payment() -> None:
    names = (*NAMES, *(Identifier(kind, f"its {kind}") for kind in IDENTIFIER_KINDS[3:]))
    invoice = an_invoice(60000, 10000, 500, names=names, allocated=Components(interest=2500))
    request = a_request(a_registration(a_line(references={"creditnotebillnum": "26251"})))
    told = outcome(request, invoice)
    breakdown = {
        "jobid": 42,
        "billnum": "R1234567",
        "billcode": "1234567",
        "capitalbefore": "600.00",
        "capitalafter": "0.00",
        "focusedtocapital": "600.00",
        "interestbefore": "75.00",
        "interestafter": "0.00",
        "focusedtointerest": "75.00",
        "noticefeebefore": "5.00",
        "noticefeeafter": "0.00",
        "focusedtonoticefee": "5.00",
        "unfocused": "30.00",
        "invoicestate": "CLOSED",
        "reference_number": "its reference_number",
        "back_office_code": "its back_office_code",
        "external_id": "its external_id",
        "writtenoffcapital": "0.00",
        "writtenoffinterest": "0.00",
        "writtenoffnoticefee": "0.00",
    }
    assert told.pop("response")["statusid"] == 6
    assert told == {
        "event_id": "00000000-0000-0000-0000-000000000001",
        "occurred_at": "2017-10-10T12:00:00Z",
        "company": "acme",
        "source": "ropo.payment.v1",
        "idempotency_key": "key-1",
        "payment_id": 1,
        "statusid": 6,
        "status": "OHISPAY",
        "reason": "booked",
        "statustext": "The payment has been booked",
        "amount": "710.00",
        "currency": "EUR",
        "paydate": "2017-10-10",
        "settled_by": "money",
        "surcharge": "0.00",
        "cancels": None,
        "lines": [{"amount": "710.00", **breakdown, "references": {"creditnotebillnum": "26251"}}],
        "errors": [],
        **breakdown,
    }


def test_the_same_decision_is_told_in_the_same_bytes() -> None:
    one, two = (Books(an_invoice()).settle_one(a_request()).body for _ in range(2))
    assert one == two


def test_a_part_payment_leaves_the_invoice_open() -> None:
    told = outcome_of(a_line(1000), invoices=(an_invoice(),))
    assert (told["capitalbefore"], told["focusedtocapital"], told["capitalafter"]) == ("710.00", "10.00", "700.00")
    assert (told["unfocused"], told["invoicestate"]) == ("0.00", "OPEN")


def test_a_refusal_focuses_nothing_and_names_what_was_given() -> None:
    told = outcome_of(a_line(71000, Identifier("jobid", "42"), BILLNUM), invoices=())
    assert {name: told[name] for name in AMOUNTS} == dict.fromkeys(AMOUNTS, "0.00") | {"unfocused": "710.00"}
    assert (told["jobid"], told["billnum"], told["billcode"], told["invoicestate"]) == (42, "R1234567", None, None)
    assert (told["status"], told["reason"], told["amount"]) == ("NOT_FOUND", "invoice_not_found", "710.00")


def test_a_refusal_tells_what_is_open_and_the_invoices_own_names() -> None:
    told = outcome_of(a_line(71000), invoices=(an_invoice(5, 6, 7, state="CLOSED", names=NAMES),))
    assert (told["capitalbefore"], told["interestbefore"], told["noticefeebefore"]) == ("0.05", "0.06", "0.07")
    assert (told["capitalafter"], told["interestafter"], told["noticefeeafter"]) == ("0.05", "0.06", "0.07")
    assert (told["unfocused"], told["invoicestate"], told["jobid"]) == ("710.00", "CLOSED", 42)


def test_another_companys_invoice_is_told_nothing_of() -> None:
    books = Books(an_invoice(names=NAMES, company="other"), policies=[a_policy(), a_policy(company="other")])
    told: Any = read_json(books.settle_one(a_request()).body)
    assert told["status"] == "DIFFCID"
    assert (told["jobid"], told["billcode"], told["invoicestate"]) == (None, "1234567", None)
    assert {name: told[name] for name in AMOUNTS} == dict.fromkeys(AMOUNTS, "0.00") | {"unfocused": "710.00"}


def test_an_invalid_request_is_told_with_its_errors_and_amounts_of_zero() -> None:
    told = outcome(an_invalid_request(), currency="KWD")
    assert told["errors"] == [{"field": "amount", "message": "must be a finite number"}]
    assert (told["statusid"], told["status"], told["reason"]) == (1, "FAIL", "invalid")
    assert (told["paydate"], told["lines"], told["currency"], told["amount"]) == (None, [], "KWD", "0.000")
    assert (told["settled_by"], told["surcharge"], told["cancels"]) == (None, "0.000", None)
    assert {name: told[name] for name in AMOUNTS} == dict.fromkeys(AMOUNTS, "0.000")


@pytest.mark.parametrize(
    ("currency", "digits"), [("JPY", ("71000", "71000", "0")), ("KWD", ("71.000", "71.000", "0.000"))]
)
def test_amounts_have_the_digits_of_the_payments_currency(currency: str, digits: tuple[str, str, str]) -> None:
    request = a_request(a_registration(currency=currency))
    told = outcome(request, an_invoice(currency=currency), currency="EUR")
    assert (told["amount"], told["focusedtocapital"], told["unfocused"]) == digits
    assert told["lines"][0]["amount"] == digits[0]
    assert told["currency"] == currency


def test_lines_on_two_invoices_are_summed_and_name_none() -> None:
    invoices = (an_invoice(1000, 200), an_invoice(5000, 0, 50, number=2, names=[OTHER]))
    told = outcome_of(a_line(1300), a_line(2050, OTHER), invoices=invoices)
    assert (told["jobid"], told["billnum"], told["billcode"], told["invoicestate"]) == (None, None, None, None)
    assert (told["capitalbefore"], told["focusedtocapital"], told["capitalafter"]) == ("60.00", "30.00", "30.00")
    assert (told["interestbefore"], told["focusedtointerest"], told["interestafter"]) == ("2.00", "2.00", "0.00")
    assert (told["noticefeebefore"], told["focusedtonoticefee"], told["noticefeeafter"]) == ("0.50", "0.50", "0.00")
    assert (told["amount"], told["unfocused"]) == ("33.50", "1.00")
    assert [(line["amount"], line["unfocused"], line["invoicestate"]) for line in told["lines"]] == [
        ("13.00", "1.00", "CLOSED"),
        ("20.50", "0.00", "OPEN"),
    ]


def test_an_invoice_on_two_lines_counts_once_as_it_was_before() -> None:
    told = outcome_of(a_line(1000), a_line(70500, BILLNUM), invoices=(an_invoice(),))
    assert (told["capitalbefore"], told["focusedtocapital"], told["capitalafter"]) == ("710.00", "710.00", "0.00")
    assert (told["amount"], told["unfocused"]) == ("715.00", "5.00")
    assert (told["billcode"], told["invoicestate"]) == ("1234567", "CLOSED")
    assert [(line["capitalbefore"], line["capitalafter"], line["invoicestate"]) for line in told["lines"]] == [
        ("710.00", "700.00", "OPEN"),
        ("700.00", "0.00", "CLOSED"),
    ]


def test_an_invoice_on_two_lines_that_are_refused_counts_once_too() -> None:
    told = outcome_of(a_line(1000), a_line(2000), invoices=(an_invoice(state="CANCELLED"),))
    assert (told["capitalbefore"], told["capitalafter"], told["unfocused"]) == ("710.00", "710.00", "30.00")
    assert (told["billcode"], told["invoicestate"]) == ("1234567", "CANCELLED")


def test_of_several_lines_one_without_an_invoice_leaves_the_payment_without_one() -> None:
    for lines in ([a_line(1000), a_line(2000, OTHER)], [a_line(2000, OTHER), a_line(1000)]):
        told = outcome_of(*lines, invoices=(an_invoice(),))
        assert (told["billcode"], told["invoicestate"], told["unfocused"]) == (None, None, "30.00")
        assert told["capitalbefore"] == told["capitalafter"] == "710.00"
        assert {line["billcode"] for line in told["lines"]} == {"1234567", "other"}


def test_lines_without_any_invoice_are_told_as_given() -> None:
    told = outcome_of(a_line(1000), a_line(2000, OTHER), invoices=())
    assert (told["billcode"], told["capitalbefore"], told["unfocused"]) == (None, "0.00", "30.00")
    assert [line["billcode"] for line in told["lines"]] == ["1234567", "other"]


def test_the_time_is_told_in_utc() -> None:
    there = datetime(2017, 10, 10, 15, 0, 0, 250000, tzinfo=timezone(timedelta(hours=3)))
    assert outcome(a_request(), an_invoice(), now=there)["occurred_at"] == "2017-10-10T12:00:00.250000Z"


def test_what_is_told_is_what_was_handed_in() -> None:
    settled = Books(an_invoice()).settle_one(a_request())
    event_id = UUID("018bd1f4-0000-7000-8000-000000000000")
    told: Any = read_json(
        compose(
            a_request(key="another", company="other"),
            settled.verdict,
            settled.terms,
            event_id=event_id,
            occurred_at=datetime(2020, 2, 29, tzinfo=UTC),
            payment_id=2**62,
        )
    )
    assert (told["event_id"], told["payment_id"], told["company"]) == (str(event_id), 2**62, "other")
    assert (told["idempotency_key"], told["occurred_at"]) == ("another", "2020-02-29T00:00:00Z")


def test_the_first_day_of_the_calendar_is_told_with_its_year() -> None:
    assert outcome(a_request(a_registration(paydate=date(1, 1, 1))), an_invoice())["paydate"] == "0001-01-01"
