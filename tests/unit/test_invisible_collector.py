from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.codec import encode, parse, read_json
from schemas.invalid import FieldError, InvalidMessageError
from schemas.limits import LINES_MAX
from schemas.outcome import Status
from schemas.registration import Defaults, Identifier, Line, Registration
from schemas.sources import SOURCES
from schemas.sources.invisible_collector import INVISIBLE_COLLECTOR, InvisibleCollectorPayment

EXAMPLES = Path(schemas.__file__).parent / "examples" / INVISIBLE_COLLECTOR.message_type
PUBLISHED: Mapping[str, Any] = {
    "number": "RG TEST/001",
    "externalId": "123455",
    "status": "FINAL",
    "date": "2016-07-01",
    "type": "RG",
    "netTotal": Decimal("25.00"),
    "tax": Decimal("5.75"),
    "grossTotal": Decimal("30.75"),
    "currency": "EUR",
    "lines": [
        {"number": "FT TEST/001", "amount": Decimal("10.75")},
        {"number": "FT TEST/001", "referenceNumber": "NC NC/001", "amount": Decimal("20.00")},
    ],
}
"""Invisible Collector's published example body."""
DEBT = (Identifier("billnum", "FT TEST/001"),)


def meaning(raw: object) -> Registration:
    message = parse(InvisibleCollectorPayment, raw)
    registration = INVISIBLE_COLLECTOR.meaning(message, Defaults("SEK", date(2020, 1, 1)))
    assert isinstance(registration, Registration)
    return registration


def read(**changes: Any) -> Registration:
    return meaning({**PUBLISHED, **changes})


def read_example(name: str) -> Registration:
    return meaning(read_json((EXAMPLES / f"{name}.json").read_bytes()))


def errors_of(raw: object) -> list[FieldError]:
    with pytest.raises(InvalidMessageError) as refused:
        meaning(raw)
    return refused.value.errors


def amounts(*said: object) -> list[dict[str, object]]:
    return [{"number": "FT TEST/001", "amount": amount} for amount in said]


def totals(net: object, tax: object, gross: object, *lines: object) -> dict[str, object]:
    return {**PUBLISHED, "netTotal": net, "tax": tax, "grossTotal": gross, "lines": amounts(*lines)}


def answer(status: Status, reason: str, raw: Mapping[str, Any] | None = PUBLISHED, **changes: Any) -> dict[str, Any]:
    outcome: Any = {"status": status.name, "reason": reason, "statustext": "Why", "payment_id": 5452, "errors": []}
    message = None if raw is None else parse(InvisibleCollectorPayment, raw)
    return dict(INVISIBLE_COLLECTOR.response(outcome | changes, message))


def test_the_published_example_says_what_its_author_meant() -> None:
    assert read() == Registration(
        source="invisible-collector.payment.v1",
        currency="EUR",
        paydate=date(2016, 7, 1),
        lines=(
            Line(identifiers=DEBT, amount_minor=1075),
            Line(identifiers=DEBT, amount_minor=2000, references={"referenceNumber": "NC NC/001"}),
        ),
        payment_type="RG",
        details={
            "number": "RG TEST/001",
            "externalId": "123455",
            "netTotal": "25.00",
            "tax": "5.75",
            "grossTotal": "30.75",
        },
    )


def test_the_published_example_is_kept_as_it_was_published() -> None:
    assert read_json((EXAMPLES / "published.json").read_bytes()) == PUBLISHED


def test_the_published_example_is_answered_with_the_payment_as_it_was_published() -> None:
    assert encode(answer(Status.OHISPAY, "booked")) == (
        b'{"number":"RG TEST/001","externalId":"123455","status":"FINAL","type":"RG","date":"2016-07-01",'
        b'"netTotal":25.00,"tax":5.75,"grossTotal":30.75,"currency":"EUR","lines":['
        b'{"number":"FT TEST/001","amount":10.75},'
        b'{"number":"FT TEST/001","referenceNumber":"NC NC/001","amount":20.00}]}'
    )


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("numbers-as-text", "published"),
        ("status-left-out", "published"),
        ("blank-fields", "minimal"),
        ("unknown-fields", "minimal"),
    ],
)
def test_two_spellings_of_one_payment_mean_the_same(name: str, same: str) -> None:
    assert read_example(name) == read_example(same)


@pytest.mark.parametrize("missing", ["number", "date", "type", "currency", "lines"])
def test_number_date_type_currency_and_lines_are_required(missing: str) -> None:
    assert errors_of({**PUBLISHED, missing: None}) == [{"field": missing, "message": "Field required"}]


@pytest.mark.parametrize("missing", ["number", "amount"])
def test_each_line_needs_a_number_and_an_amount(missing: str) -> None:
    lines = [PUBLISHED["lines"][0], {**PUBLISHED["lines"][1], missing: ""}]
    assert errors_of({**PUBLISHED, "lines": lines}) == [{"field": f"lines.1.{missing}", "message": "Field required"}]


def test_what_is_not_given_is_in_no_detail() -> None:
    registration = read_example("minimal")
    assert registration.details == {"number": "RG TEST/002"}
    assert registration.lines[0].references == {}


def test_payments_of_two_numbers_are_two_payments_also_under_one_key_of_a_header() -> None:
    assert read(number="RG TEST/002") != read()


@pytest.mark.parametrize("blank", [None, ""])
def test_a_payment_is_final_unless_it_says_otherwise(blank: str | None) -> None:
    assert read(status=blank) == read(status="FINAL")
    assert not read(status=blank).is_cancelled
    assert read(status="CANCELLED").is_cancelled


@pytest.mark.parametrize("status", ["final", "POSTED", 0, True, ["FINAL"]])
def test_any_other_status_is_refused(status: object) -> None:
    (error,) = errors_of({**PUBLISHED, "status": status})
    assert error["field"] == "status"


def test_the_currency_is_the_messages_own() -> None:
    registration = read_example("no-minor-unit")
    assert (registration.currency, registration.states_currency) == ("JPY", True)
    assert registration.lines[0].amount_minor == 710
    assert registration.details["netTotal"] == "700"


def test_a_payment_may_pay_several_debts() -> None:
    lines = read_example("several-debts").lines
    assert [line.identifiers for line in lines] == [DEBT, (Identifier("billnum", "FT TEST/002"),)]


@pytest.mark.parametrize("field", ["netTotal", "tax", "grossTotal"])
def test_a_total_of_more_digits_than_the_currency_has_is_refused(field: str) -> None:
    assert errors_of({**PUBLISHED, field: "0.001"}) == [
        {"field": field, "message": "has more than the 2 decimal digits of EUR"}
    ]


def test_an_amount_of_more_digits_than_the_currency_has_is_refused_by_its_line() -> None:
    lines = amounts("10.75", "0.001")
    assert [error["field"] for error in errors_of({**PUBLISHED, "lines": lines})] == ["lines.1.amount"]


@pytest.mark.parametrize("spelling", [b"25", b"25.0", b"25.00", b'"25"', b'"25.00"', b"2.5e1"])
def test_a_total_means_the_same_however_it_is_written(spelling: bytes) -> None:
    assert read(netTotal=read_json(spelling)) == read()


@pytest.mark.parametrize(
    "raw",
    [
        totals("25.00", "5.75", "30.75", "10.75", "20.00"),
        totals("25.00", "5.75", None, "10.75", "20.00"),
        totals(None, None, "30.75", "30.75"),
        totals("1.00", None, "30.75", "30.75"),
        totals(None, "99.00", "30.75", "30.75"),
        totals("25.00", None, None, "10.75"),
        totals(None, "5.75", None, "10.75"),
        totals(None, None, None, "10.75", "20.00"),
        totals(0, 0, 0, 0),
        totals("999999999999.99", "0.01", "1000000000000.00", "999999999999.99", "0.01"),
    ],
)
def test_totals_that_agree_as_far_as_they_are_given_are_taken(raw: dict[str, object]) -> None:
    assert meaning(raw).payment_type == "RG"


@pytest.mark.parametrize(
    "raw",
    [
        totals("25.00", "5.75", "30.76", "10.75", "20.00"),
        totals("25.00", "5.75", "30.76", "30.76"),
        totals("25.00", "5.74", "30.75", "30.75"),
        totals("25.00", "5.75", "30.75", "10.75", "20.01"),
        totals("25.00", "5.75", None, "10.75", "20.01"),
        totals(None, None, "30.75", "30.74"),
        totals(None, None, 0, "0.01"),
        totals(0, 0, None, "0.01"),
        totals("999999999999.99", "0.01", "999999999999.99", "999999999999.99"),
    ],
)
def test_totals_that_do_not_agree_are_refused(raw: dict[str, object]) -> None:
    assert [error["field"] for error in errors_of(raw)] == ["grossTotal"]


def test_a_payment_has_at_least_one_line_and_no_more_than_the_limit() -> None:
    assert [error["field"] for error in errors_of({**PUBLISHED, "lines": []})] == ["lines"]
    assert len(meaning(totals(None, None, None, *([1] * LINES_MAX))).lines) == LINES_MAX
    assert [error["field"] for error in errors_of(totals(None, None, None, *([1] * (LINES_MAX + 1))))] == ["lines"]


@pytest.mark.parametrize("lines", [{}, "FT TEST/001", [None], [[]], ["FT TEST/001"], 1])
def test_what_is_no_list_of_lines_is_refused(lines: object) -> None:
    assert all(error["field"].startswith("lines") for error in errors_of({**PUBLISHED, "lines": lines}))


def test_a_booked_payment_is_shown_with_the_currencys_digits_and_without_what_was_not_given() -> None:
    lines = [{"number": "B", "amount": "2e1"}, {"number": "C", "amount": Decimal("0.5")}]
    said = {"number": "A", "date": "2016-07-01", "type": "RG", "tax": 5, "currency": "EUR", "lines": lines}
    assert encode(answer(Status.OHISPAY, "booked_possible_duplicate", said)) == (
        b'{"number":"A","status":"FINAL","type":"RG","date":"2016-07-01","tax":5.00,"currency":"EUR","lines":['
        b'{"number":"B","amount":20.00},{"number":"C","amount":0.50}]}'
    )


def test_in_a_currency_without_minor_units_a_booked_payment_has_none() -> None:
    yen = {**PUBLISHED, "netTotal": 700, "tax": 10, "grossTotal": 710, "currency": "JPY", "lines": amounts("710")}
    shown = answer(Status.OHISPAY, "booked", yen)
    assert (str(shown["grossTotal"]), str(shown["lines"][0]["amount"])) == ("710", "710")


def test_a_payment_that_came_in_as_cancelled_is_stored_and_shown() -> None:
    cancelled = {**PUBLISHED, "status": "CANCELLED"}
    shown = answer(Status.CANCELLED, "payment_cancelled", cancelled)
    assert shown == {**answer(Status.OHISPAY, "booked"), "status": "CANCELLED"}


def test_a_final_payment_that_was_cancelled_before_it_came_is_refused() -> None:
    assert answer(Status.CANCELLED, "payment_cancelled") == {"code": 422, "message": "Why"}


def test_a_cancelled_payment_that_is_refused_for_another_reason_is_not_shown() -> None:
    cancelled = {**PUBLISHED, "status": "CANCELLED"}
    assert answer(Status.FAIL, "idempotency_conflict", cancelled)["code"] == 409
    assert answer(Status.CANCELLED, "invoice_cancelled", cancelled)["code"] == 422


def test_a_conflict_names_the_payment_held() -> None:
    refused = encode(answer(Status.FAIL, "idempotency_conflict"))
    assert refused == b'{"code":409,"message":"Why","gid":"5452"}'


def test_an_invalid_payment_is_not_valid() -> None:
    assert encode(answer(Status.FAIL, "invalid", None)) == b'{"code":422,"message":"Why"}'


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (Status.NOT_FOUND, "invoice_not_found", 404),
        (Status.DIFFCID, "invoice_of_another_company", 404),
        (Status.UNDONE, "invoice_awaited", 404),
        (Status.UNDONE, "paydate_in_future", 422),
        (Status.FAIL, "overpayment", 422),
        (Status.FAIL, "wrong_currency", 422),
        (Status.FAIL, "amount_too_large", 422),
        (Status.FAIL, "gateway_charge_unsupported", 422),
        (Status.OLD, "period_closed", 422),
        (Status.OLD, "duplicate", 422),
        (Status.ROPO, "type_settlement", 422),
        (Status.ROPO_REFUND, "type_settlement_refund", 422),
        (Status.CLOSE, "invoice_closed", 422),
        (Status.IGNORE, "amount_zero", 422),
        (Status.IGNORE, "type_muted", 422),
        (Status.CANCELLED, "invoice_cancelled", 422),
        (Status.FAIL, "a reason that a later release adds", 422),
    ],
)
def test_a_refusal_is_answered_with_a_code_and_the_outcomes_own_words(status: Status, reason: str, code: int) -> None:
    assert answer(status, reason) == {"code": code, "message": "Why"}


def test_invisible_collector_is_known_by_its_message_type_and_its_number_is_the_key() -> None:
    assert SOURCES["invisible-collector.payment.v1"] is INVISIBLE_COLLECTOR
    assert INVISIBLE_COLLECTOR.key_field == "number"
