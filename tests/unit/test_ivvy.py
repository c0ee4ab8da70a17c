from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.codec import encode, parse, read_json
from schemas.invalid import FieldError, InvalidMessageError
from schemas.money import percent_of
from schemas.outcome import Status
from schemas.registration import Defaults, Identifier, Line, Registration
from schemas.sources import SOURCES
from schemas.sources.ivvy import CARD_TYPES, IVVY, PAYMENT_METHODS, IvvyPayment

EXAMPLES = Path(schemas.__file__).parent / "examples" / IVVY.message_type
PUBLISHED: Mapping[str, Any] = {
    "invoiceId": "156",
    "paidDate": "2018-07-24 00:00:00",
    "amountPaid": 10,
    "paymentMethod": 8,
    "receiptNum": "123",
    "feePercentage": 10,
}
"""iVvy's published example body."""
OPTIONAL: Mapping[str, Any] = {
    "customPaymentMethodId": 42,
    "receiptNum": "123",
    "reconciledDate": "2018-07-25 08:00:00",
    "cardType": 3,
    "feePercentage": "2.50",
    "feeAmount": "1.50",
    "feeExcludedTaxIds": [3, "5"],
    "chequeNumber": "000871",
    "chequeDrawerName": "A. Drawer",
    "chequeBankBranch": "Perth",
    "eftTransferDate": "2018-07-23",
    "eftPaymentReference": "RF18 5390",
}
"""Each field that some payment method or none may have."""


def meaning(raw: object, currency: str = "EUR") -> Registration:
    registration = IVVY.meaning(parse(IvvyPayment, raw), Defaults(currency, date(2018, 7, 25)))
    assert isinstance(registration, Registration)
    return registration


def read(*, currency: str = "EUR", **changes: Any) -> Registration:
    return meaning({**PUBLISHED, **changes}, currency)


def read_example(name: str) -> Registration:
    return meaning(read_json((EXAMPLES / f"{name}.json").read_bytes()))


def errors_of(raw: object) -> list[FieldError]:
    with pytest.raises(InvalidMessageError) as refused:
        meaning(raw)
    return refused.value.errors


def answer(status: Status, reason: str, **changes: Any) -> dict[str, Any]:
    outcome: Any = {"status": status.name, "reason": reason, "statustext": "Why", "payment_id": 5452, "errors": []}
    return dict(IVVY.response(outcome | changes, None))


def code_of_invalid(raw: object) -> int:
    refused = answer(Status.FAIL, "invalid", errors=errors_of(raw))
    return int(refused["ErrorCode"])


def test_the_published_example_says_what_its_author_meant() -> None:
    assert read() == Registration(
        source="ivvy.add-payment.v1",
        currency="EUR",
        states_currency=False,
        paydate=date(2018, 7, 24),
        lines=(Line(identifiers=(Identifier("jobid", "156"),), amount_minor=1000),),
        payment_type="Accounts Receivable",
        surcharge_percent=Decimal(10),
        refuses_overpayment=True,
        details={"receiptNum": "123", "feePercentage": "10"},
    )


def test_the_published_example_is_kept_as_it_was_published() -> None:
    assert read_json((EXAMPLES / "published.json").read_bytes()) == PUBLISHED


def test_the_published_example_is_answered_with_the_published_answer() -> None:
    assert encode(answer(Status.OHISPAY, "booked")) == b'{"Success":true,"Id":5452}'


def test_a_possible_duplicate_that_was_booked_is_a_success() -> None:
    assert answer(Status.OHISPAY, "booked_possible_duplicate") == {"Success": True, "Id": 5452}


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("numbers-as-text", "published"),
        ("blank-fields", "published"),
        ("unknown-fields", "published"),
        ("credit-card-by-number", "credit-card-by-name"),
    ],
)
def test_two_spellings_of_one_payment_mean_the_same(name: str, same: str) -> None:
    assert read_example(name) == read_example(same)


@pytest.mark.parametrize("missing", ["invoiceId", "paidDate", "amountPaid", "paymentMethod"])
def test_invoice_date_amount_and_method_are_required(missing: str) -> None:
    assert errors_of({**PUBLISHED, missing: None}) == [{"field": missing, "message": "Field required"}]


def test_what_else_is_said_goes_into_the_details_as_text() -> None:
    assert read(**OPTIONAL).details == {
        "customPaymentMethodId": "42",
        "receiptNum": "123",
        "reconciledDate": "2018-07-25T08:00:00",
        "cardType": "3",
        "feeAmount": "1.5",
        "feeExcludedTaxIds": "3,5",
        "chequeNumber": "000871",
        "chequeDrawerName": "A. Drawer",
        "chequeBankBranch": "Perth",
        "eftTransferDate": "2018-07-23T00:00:00",
        "eftPaymentReference": "RF18 5390",
    }


def test_each_field_is_tried_here() -> None:
    tried = PUBLISHED.keys() | OPTIONAL.keys() | {"gateway", "paymentId"}
    assert tried == IvvyPayment.model_fields.keys()


@pytest.mark.parametrize("blank", [None, ""])
@pytest.mark.parametrize("field", [*OPTIONAL, "gateway", "paymentId"])
def test_a_blank_field_is_one_that_was_not_given(field: str, blank: str | None) -> None:
    without = {name: value for name, value in PUBLISHED.items() if name != field}
    assert meaning({**PUBLISHED, field: blank}) == meaning(without)


def test_the_payment_date_is_the_day_on_which_it_was_paid() -> None:
    assert read(paidDate="2018-07-24 23:59:59").paydate == date(2018, 7, 24)
    assert read(paidDate="2018-07-24T23:59:59+02:00").paydate == date(2018, 7, 24)


@pytest.mark.parametrize("spelling", [b"5", b"5.0", b"5.00", b'"5"', b'"5.00"', b"50e-1"])
def test_a_detail_is_the_same_however_its_number_is_written(spelling: bytes) -> None:
    said = read(feeAmount=read_json(spelling))
    assert (said.details["feeAmount"], said.surcharge_minor) == ("5", 500)


def test_a_fee_of_minus_nought_is_nought() -> None:
    assert read(feeAmount="-0.00").details["feeAmount"] == "0"


def test_the_amount_is_in_the_companys_currency() -> None:
    assert read(currency="JPY", amountPaid="710").lines[0].amount_minor == 710
    assert errors_of({**PUBLISHED, "amountPaid": "0.001"}) == [
        {"field": "amountPaid", "message": "has more than the 2 decimal digits of EUR"}
    ]


@pytest.mark.parametrize(("number", "name"), PAYMENT_METHODS.items())
def test_the_name_of_the_payment_method_is_the_payments_type(number: int, name: str) -> None:
    for spelling in (number, str(number), f"0{number}"):
        assert read(**OPTIONAL, paymentMethod=spelling).payment_type == name


def test_the_payment_methods_are_the_published_ones() -> None:
    assert sorted(PAYMENT_METHODS) == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13]


@pytest.mark.parametrize("method", [7, "7", 14, -1, "cash", "1.0", True, [1]])
def test_any_other_payment_method_is_refused(method: object) -> None:
    (error,) = errors_of({**PUBLISHED, "paymentMethod": method})
    assert error["field"] == "paymentMethod"


def test_only_the_method_write_off_is_a_write_off() -> None:
    write_offs = [number for number in PAYMENT_METHODS if read(**OPTIONAL, paymentMethod=number).is_write_off]
    assert write_offs == [10]


@pytest.mark.parametrize(
    ("method", "field", "value"), [(1, "cardType", 0), (5, "chequeNumber", "0"), (13, "customPaymentMethodId", 0)]
)
def test_a_method_needs_its_own_field_and_no_other(method: int, field: str, value: object) -> None:
    needed = {"field": field, "message": f"is required with paymentMethod {method}"}
    assert errors_of({**PUBLISHED, "paymentMethod": method}) == [needed]
    assert errors_of({**PUBLISHED, "paymentMethod": str(method), field: ""}) == [needed]
    assert meaning({**PUBLISHED, "paymentMethod": method, field: value}).details[field] == str(value)
    others = {name: said for name, said in OPTIONAL.items() if name != field}
    assert errors_of({**PUBLISHED, **others, "paymentMethod": method}) == [needed]


def test_fields_of_another_method_are_taken() -> None:
    assert read(paymentMethod=6, **OPTIONAL).details["chequeNumber"] == "000871"


@pytest.mark.parametrize(("number", "name"), CARD_TYPES.items())
def test_a_card_type_goes_by_number_or_by_name_in_any_case(number: int, name: str) -> None:
    spellings = (number, str(number), f"00{number}", name, name.upper(), name.lower())
    assert {read(paymentMethod=1, cardType=each).details["cardType"] for each in spellings} == {str(number)}


def test_the_card_types_are_the_published_ones() -> None:
    assert CARD_TYPES == {0: "Unknown", 1: "Visa", 2: "Master Card", 3: "Amex", 4: "Diners"}


@pytest.mark.parametrize(
    "card", [5, "5", -1, "1.0", "MasterCard", " Visa", "Discover", "un\N{KELVIN SIGN}nown", "٣", True, ["Visa"]]
)
@pytest.mark.parametrize("method", [1, 6])
def test_any_other_card_type_is_refused_with_whatever_method(method: int, card: object) -> None:
    (error,) = errors_of({**PUBLISHED, "paymentMethod": method, "cardType": card})
    assert error["field"] == "cardType"


def test_the_fee_in_percent_is_rounded_half_up_to_the_minor_unit() -> None:
    assert percent_of(5, Decimal(10)) == 1
    assert percent_of(4, Decimal(10)) == 0
    assert percent_of(9999, Decimal("1.5")) == 150
    assert read(amountPaid="99.99", feePercentage="1.5").surcharge_percent == Decimal("1.5")


def test_a_flat_fee_wins_over_a_percentage_even_where_it_is_nought() -> None:
    assert read(feeAmount="0.35").surcharge_minor == 35
    flat = read(feeAmount=0)
    assert (flat.surcharge_minor, flat.surcharge_percent) == (0, None)
    ignored: list[object] = ["10", 120, "rubbish", []]
    for percentage in ignored:
        assert read(feeAmount="0.35", feePercentage=percentage).details.keys() == {"receiptNum", "feeAmount"}


def test_without_a_fee_there_is_no_surcharge() -> None:
    without = read(feePercentage=None)
    assert (without.surcharge_minor, without.surcharge_percent) == (0, None)


def test_the_fee_is_no_part_of_the_amount() -> None:
    assert read(feeAmount="5.00").known_amount_minor == 1000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("feeAmount", "0.001"),
        ("feeAmount", -1),
        ("feePercentage", "100.01"),
        ("feePercentage", True),
        ("feeExcludedTaxIds", "3,5"),
        ("reconciledDate", "yesterday"),
        ("eftTransferDate", "2018-02-30 00:00:00"),
        ("chequeNumber", 871),
    ],
)
def test_a_field_that_cannot_be_read_is_refused_by_name(field: str, value: object) -> None:
    assert [error["field"] for error in errors_of({**PUBLISHED, field: value})] == [field]


@pytest.mark.parametrize("value", ["stripe", 0, False, [], {}, 5452])
@pytest.mark.parametrize("field", ["gateway", "paymentId"])
def test_gateway_and_payment_id_are_refused_with_a_code_of_their_own(field: str, value: object) -> None:
    raw = {**PUBLISHED, field: value}
    assert errors_of(raw) == [{"field": field, "message": "may not be used to make the payment"}]
    assert code_of_invalid(raw) == 24237
    assert code_of_invalid(raw | {"paymentMethod": 7, "amountPaid": "x"}) == 24237
    assert code_of_invalid({field: value or "x"}) == 24237


def test_gateway_is_noticed_among_more_errors_than_are_told() -> None:
    assert code_of_invalid({**PUBLISHED, "feeExcludedTaxIds": ["x"] * 30, "gateway": "stripe"}) == 24237


@pytest.mark.parametrize("method", [None, "", 7, "cash"])
def test_an_invalid_payment_method_has_a_code_of_its_own(method: object) -> None:
    assert code_of_invalid({**PUBLISHED, "paymentMethod": method}) == 24236
    assert code_of_invalid({**PUBLISHED, "paymentMethod": method, "amountPaid": "x"}) == 24236


@pytest.mark.parametrize("raw", [{}, {"invoiceId": ""}, {"invoiceId": None, "amountPaid": ""}, [], None, "", 0])
def test_an_empty_request_has_a_code_of_its_own(raw: object) -> None:
    assert code_of_invalid(raw) == 24235


@pytest.mark.parametrize(
    "raw",
    [
        {"invoiceId": 156, "paymentMethod": 8},
        {**PUBLISHED, "invoiceId": "x"},
        {**PUBLISHED, "amountPaid": "0.001"},
        {**PUBLISHED, "paymentMethod": 5},
        {**PUBLISHED, "paymentMethod": 1, "cardType": "Discover"},
    ],
)
def test_any_other_invalid_payment_has_invalid_details(raw: object) -> None:
    assert code_of_invalid(raw) == 24239


def test_a_request_of_which_each_field_is_wrong_is_not_an_empty_one() -> None:
    assert code_of_invalid({"invoiceId": "x", "paidDate": "x", "amountPaid": "x", "paymentMethod": "x"}) == 24236


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (Status.NOT_FOUND, "invoice_not_found", 24238),
        (Status.DIFFCID, "invoice_of_another_company", 24238),
        (Status.UNDONE, "invoice_awaited", 24240),
        (Status.UNDONE, "paydate_in_future", 24240),
        (Status.FAIL, "gateway_charge_unsupported", 24237),
        (Status.FAIL, "overpayment", 24239),
        (Status.FAIL, "idempotency_conflict", 24239),
        (Status.FAIL, "wrong_currency", 24239),
        (Status.FAIL, "amount_too_large", 24239),
        (Status.OLD, "period_closed", 24239),
        (Status.OLD, "duplicate", 24239),
        (Status.ROPO, "type_settlement", 24239),
        (Status.ROPO_REFUND, "type_settlement_refund", 24239),
        (Status.CLOSE, "invoice_closed", 24239),
        (Status.IGNORE, "amount_zero", 24239),
        (Status.IGNORE, "type_muted", 24239),
        (Status.CANCELLED, "invoice_cancelled", 24239),
        (Status.CANCELLED, "payment_cancelled", 24239),
        (Status.FAIL, "a reason that a later release adds", 24239),
    ],
)
def test_a_refusal_is_answered_with_ivvys_code_and_the_outcomes_own_words(
    status: Status, reason: str, code: int
) -> None:
    refused = encode(answer(status, reason))
    assert read_json(refused) == {"Success": False, "ErrorCode": code, "Message": "Why"}


def test_ivvy_is_known_by_its_message_type_and_has_no_key_of_its_own() -> None:
    assert SOURCES["ivvy.add-payment.v1"] is IVVY
    assert IVVY.key_field is None
