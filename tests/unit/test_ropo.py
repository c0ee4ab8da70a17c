from datetime import date
from typing import Any

import pytest

from schemas.codec import encode, parse, read_json
from schemas.invalid import InvalidMessageError
from schemas.registration import Identifier, Line, Registration
from schemas.sources import SOURCES
from schemas.sources.ropo import ROPO, RopoPayment, to_registration
from tests.builders import (
    DEFAULTS,
    EXAMPLE,
    Books,
    a_line,
    a_policy,
    a_registration,
    a_request,
    an_invalid_request,
    an_invoice,
)
from worker.domain.allocation import Components


def read(**changes: Any) -> Registration:
    return to_registration(parse(RopoPayment, dict(EXAMPLE) | changes), DEFAULTS)


def response(books: Books, registration: Registration) -> dict[str, Any]:
    outcome: Any = read_json(books.settle_one(a_request(registration)).body)
    answer: dict[str, Any] = outcome["response"]
    return answer


def test_the_published_example_says_what_its_author_meant() -> None:
    assert read() == Registration(
        source="ropo.payment.v1",
        currency="EUR",
        states_currency=False,
        paydate=date(2017, 10, 10),
        lines=(
            Line(
                identifiers=(Identifier("billcode", "1234567"), Identifier("billnum", "R1234567")),
                amount_minor=71000,
                references={"creditnotebillnum": "26251"},
            ),
        ),
        payment_type="directpayment",
        details={"identifier": "insurance", "description": "Payment received to the client bank account"},
    )


def test_the_published_example_is_answered_with_the_published_answer() -> None:
    names = (Identifier("jobid", "1234567"), Identifier("billnum", "R1234567"), Identifier("billcode", "1234567"))
    settled = Books(an_invoice(names=names)).settle_one(a_request(read()))
    assert (
        encode(
            {
                "jobid": 1234567,
                "billnum": "R1234567",
                "billcode": "1234567",
                "paydate": "2017-10-10",
            }
        )[1:-1]
        + (
            b',"amount":710.00,"capitalbefore":710.00,"capitalafter":0.00,"focusedtocapital":710.00,"interestbefore":0.00,'
            b'"interestafter":0.00,"focusedtointerest":0.00,"noticefeebefore":0.00,"noticefeeafter":0.00,'
            b'"focusedtonoticefee":0.00,"unfocused":0.00,"statusid":6,"statustext":"Capital kirjattu"}'
        )
        in settled.body
    )


def test_identifiers_are_looked_up_by_billcode_then_jobid_then_billnum() -> None:
    given = {"billnum": "N", "jobid": "0042", "billcode": "C"}
    assert read(**given).lines[0].identifiers == (("billcode", "C"), ("jobid", "42"), ("billnum", "N"))


@pytest.mark.parametrize("only", [{"billcode": "C"}, {"jobid": 42}, {"jobid": 0}, {"billnum": "N"}])
def test_one_identifier_is_enough(only: dict[str, Any]) -> None:
    kind, value = next(iter(only.items()))
    registration = read(**{"billcode": None, "billnum": None, "jobid": None} | only)
    assert registration.lines[0].identifiers == ((kind, str(value)),)


def test_without_any_identifier_it_is_refused() -> None:
    with pytest.raises(InvalidMessageError, match=r"^message needs one of billcode, jobid, billnum$"):
        read(billcode="", billnum=None)


def test_amount_paydate_and_an_identifier_are_all_that_is_needed() -> None:
    least = parse(RopoPayment, {"amount": 710, "paydate": "2017-10-10", "billcode": "1234567"})
    assert to_registration(least, DEFAULTS) == a_registration(states_currency=False)


@pytest.mark.parametrize("missing", ["amount", "paydate"])
def test_amount_and_paydate_are_required(missing: str) -> None:
    with pytest.raises(InvalidMessageError, match=f"^{missing} Field required$"):
        read(**{missing: None})


def test_the_amount_is_in_the_companys_currency() -> None:
    message = parse(RopoPayment, dict(EXAMPLE) | {"amount": "710"})
    registration = to_registration(message, DEFAULTS._replace(currency="JPY"))
    assert (registration.currency, registration.known_amount_minor) == ("JPY", 710)


def test_more_digits_than_the_companys_currency_has_are_refused() -> None:
    with pytest.raises(InvalidMessageError, match="amount has more than the 2 decimal digits of EUR"):
        read(amount="0.001")


def test_details_that_are_not_given_are_left_out() -> None:
    assert read(description=None, identifier="").details == {}
    assert read(creditnotebillnum=None).lines[0].references == {}


def test_a_payment_that_went_to_several_components_names_each_in_its_text() -> None:
    parts = an_invoice(50000, 20000, 1000)
    assert response(Books(parts), read())["statustext"] == "Capital, Interest, Notice fee kirjattu"
    assert response(Books(parts), a_registration(a_line(1500)))["statustext"] == "Interest, Notice fee kirjattu"
    assert response(Books(parts), a_registration(a_line(1000)))["statustext"] == "Notice fee kirjattu"


def test_the_breakdown_is_told_in_json_numbers() -> None:
    answer = response(Books(an_invoice(50000, 20000, 1000)), a_registration(a_line(72000)))
    assert {name: str(answer[name]) for name in answer if name not in {"jobid", "billnum", "billcode", "paydate"}} == {
        "amount": "720.00",
        "capitalbefore": "500.00",
        "capitalafter": "0.00",
        "focusedtocapital": "500.00",
        "interestbefore": "200.00",
        "interestafter": "0.00",
        "focusedtointerest": "200.00",
        "noticefeebefore": "10.00",
        "noticefeeafter": "0.00",
        "focusedtonoticefee": "10.00",
        "unfocused": "10.00",
        "statusid": "6",
        "statustext": "Capital, Interest, Notice fee kirjattu",
    }


def test_a_refusal_is_told_in_the_outcomes_own_words() -> None:
    answer = response(Books(), read())
    assert (answer["statusid"], answer["statustext"]) == (10, "No invoice under the identifiers given")
    assert (answer["billcode"], answer["billnum"], answer["jobid"]) == ("1234567", "R1234567", None)


def test_an_invalid_payment_is_answered_with_zero_amounts() -> None:
    outcome: Any = read_json(Books().settle_one(an_invalid_request()).body)
    answer = outcome["response"]
    assert (answer["statusid"], answer["statustext"]) == (1, "amount must be a finite number")
    assert str(answer["amount"]) == "0.00"
    assert answer["paydate"] is None


def test_in_a_currency_without_minor_units_the_answer_has_none() -> None:
    policy = a_policy(currency="JPY")
    registration = a_registration(a_line(710), currency="JPY")
    answer = response(Books(an_invoice(1000, currency="JPY"), policies=[policy]), registration)
    assert str(answer["focusedtocapital"]) == "710"
    assert str(answer["capitalafter"]) == "290"


def test_what_was_allocated_earlier_is_no_longer_open() -> None:
    answer = response(Books(an_invoice(allocated=Components(capital=11000))), a_registration(a_line(100)))
    assert (str(answer["capitalbefore"]), str(answer["capitalafter"])) == ("600.00", "599.00")


def test_every_source_is_known_by_its_message_type() -> None:
    assert all(name == source.message_type for name, source in SOURCES.items())
    assert SOURCES["ropo.payment.v1"] is ROPO
