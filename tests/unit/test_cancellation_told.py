"""What the outcome of a cancellation that was done tells: the payment's amounts, below zero."""

from typing import Any

from schemas.codec import read_json
from schemas.registration import Identifier
from tests.builders import (
    BILLCODE,
    BILLNUM,
    Books,
    a_cancel,
    a_line,
    a_policy,
    a_registration,
    a_request,
    an_invoice,
)

OTHER = Identifier("billcode", "other")


def paying(amount_minor: int | None, key: str = "key-1", **changes: Any) -> Any:
    return a_request(a_registration(a_line(amount_minor), **changes), key)


def test_the_outcome_tells_ledgers_what_was_reversed() -> None:
    books = Books(
        an_invoice(60000, 10000, 500, names=(Identifier("jobid", "42"), BILLCODE, BILLNUM)),
        policies=[a_policy(tolerance_minor=5)],
    )
    line = a_line(70498, references={"creditnotebillnum": "26251"})
    paid = books.settle_one(a_request(a_registration(line, surcharge_minor=7, payment_type="transfer")))
    settled = books.settle_one(a_cancel(why="paid by mistake"))
    told: Any = read_json(settled.body)
    breakdown = {
        "jobid": 42,
        "billnum": "R1234567",
        "billcode": "1234567",
        "capitalbefore": "0.00",
        "capitalafter": "600.00",
        "focusedtocapital": "-599.98",
        "interestbefore": "0.00",
        "interestafter": "100.00",
        "focusedtointerest": "-100.00",
        "noticefeebefore": "0.00",
        "noticefeeafter": "5.00",
        "focusedtonoticefee": "-5.00",
        "unfocused": "0.00",
        "invoicestate": "OPEN",
        "reference_number": None,
        "back_office_code": None,
        "external_id": None,
        "writtenoffcapital": "-0.02",
        "writtenoffinterest": "0.00",
        "writtenoffnoticefee": "0.00",
    }
    expected = {
        "idempotency_key": "cancel-1",
        "source": "payment.cancel.v1",
        "payment_id": settled.payment_id,
        "statusid": 11,
        "status": "CANCELLED",
        "reason": "cancelled",
        "amount": "-704.98",
        "currency": "EUR",
        "paydate": "2017-10-10",
        "settled_by": "money",
        "surcharge": "-0.07",
        "cancels": {"payment_id": paid.payment_id, "idempotency_key": "key-1"},
        "lines": [{"amount": "-704.98", **breakdown, "references": {"creditnotebillnum": "26251"}}],
        **breakdown,
    }
    assert {name: told[name] for name in expected} == expected
    assert settled.payment_id != paid.payment_id
    assert settled.terms.payment_type == "transfer"


def test_the_outcome_is_in_the_payments_currency_and_not_the_companys() -> None:
    books = Books(an_invoice(currency="JPY"))
    books.settle(paying(71000, currency="JPY"))
    told: Any = read_json(books.settle_one(a_cancel()).body)
    assert (told["currency"], told["amount"], told["capitalafter"]) == ("JPY", "-71000", "71000")


def test_over_several_invoices_the_outcome_sums_and_names_none() -> None:
    books = Books(an_invoice(1000), an_invoice(1000, number=2, names=[OTHER]))
    books.settle(a_request(a_registration(a_line(300), a_line(400, OTHER), a_line(900))))
    told: Any = read_json(books.settle_one(a_cancel()).body)
    assert (told["billcode"], told["invoicestate"]) == (None, None)
    assert (told["amount"], told["focusedtocapital"], told["unfocused"]) == ("-16.00", "-14.00", "-2.00")
    assert (told["capitalbefore"], told["capitalafter"]) == ("6.00", "20.00")
    assert [line["billcode"] for line in told["lines"]] == ["1234567", "other", "1234567"]
