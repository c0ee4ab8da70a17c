from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import schemas
from schemas.codec import encode, parse, read_json
from schemas.invalid import InvalidMessageError
from schemas.registration import AccountName, Identifier, Line, Registration, WalletName
from schemas.sources import SOURCES, without_secrets
from schemas.sources.crm_com import CRM_COM, CrmComPayment, to_registration
from tests.builders import DEFAULTS, NOW, TODAY, Books, a_policy, a_request, an_invalid_request, an_invoice
from worker.domain.invoice import Invoice
from worker.domain.wallet import Wallet

EXAMPLES = Path(schemas.__file__).parent / "examples" / CRM_COM.message_type
LEAST: Mapping[str, Any] = {
    "type_identifier": {"name": "Payment"},
    "payment_method_identifier": {"name": "Bank transfer"},
    "invoice_identifier": {"reference_number": "328"},
}
"""What every body needs."""
IDENTIFIER_FIELDS = {
    "accounts_receivable_identifier": ["id", "number", "name"],
    "wallet_identifier": ["id", "number"],
    "type_identifier": ["id", "name", "alternative_code"],
    "category_identifier": ["id", "name", "code"],
    "payment_method_identifier": ["id", "name", "alternative_code"],
    "invoice_identifier": ["id", "number", "reference_number", "back_office_code"],
    "received_by_user_identifier": ["id", "username"],
    "received_by_unit_identifier": ["id", "name", "alternative_code"],
    "card_identifier": ["id", "payment_gateway_reference_number", "last_digits"],
    "accounts_receivable_payment_preference_identifier": ["id", "payment_medium_identifier", "bank_account_number"],
}
IDENTIFIERS = [(name, field) for name, fields in IDENTIFIER_FIELDS.items() for field in fields]


def example(name: str) -> CrmComPayment:
    return parse(CrmComPayment, read_json((EXAMPLES / f"{name}.json").read_bytes()))


def message(**changes: Any) -> CrmComPayment:
    return parse(CrmComPayment, {**LEAST, **changes})


def read(**changes: Any) -> Registration:
    return to_registration(message(**changes), DEFAULTS)


def refusal(**changes: Any) -> str:
    with pytest.raises(InvalidMessageError) as refused:
        message(**changes)
    return str(refused.value)


def invoice(open_minor: int = 22500, **changes: Any) -> Invoice:
    return replace(an_invoice(open_minor, names=[Identifier("reference_number", "328")]), **changes)


def answer(books: Books, asked: CrmComPayment, now: datetime = NOW) -> dict[str, Any]:
    request = a_request(to_registration(asked, DEFAULTS), source=CRM_COM, message=asked)
    outcome: Any = read_json(books.settle_one(request, now).body)
    response: dict[str, Any] = outcome["response"]
    return response


def test_the_published_body_with_an_account_says_what_its_author_meant() -> None:
    assert to_registration(example("published-account-number"), DEFAULTS) == Registration(
        source="crm-com.pay-invoice.v1",
        currency="EUR",
        states_currency=False,
        paydate=TODAY,
        states_paydate=False,
        lines=(Line(identifiers=(Identifier("reference_number", "328"),), amount_minor=None),),
        payment_type="Payment",
        method="Bank transfer",
        account=AccountName("number", "192"),
    )


def test_the_published_body_with_an_account_is_answered_with_the_published_answer() -> None:
    books = Books(invoice(account_number="192"))
    assert answer(books, example("published-account-number")) == {
        "status": {"code": "OK", "description": "", "message": ""},
        "data": {
            "id": "1",
            "number": "1",
            "reference_number": "1",
            "life_cycle_state": "POSTED",
            "issued_on": "2017-10-10T12:00:00",
            "posted_on": "2017-10-10T12:00:00",
            "payment_amount": 225,
            "processed_by_payment_gateway": None,
            "payment_gateway_reference_number": None,
            "currency_rate_period": None,
        },
    }
    assert books.open().total == 0


def test_the_published_body_with_a_fields_set_is_answered_with_just_those_fields() -> None:
    names = [Identifier("reference_number", "2023")]
    held = replace(an_invoice(22500, names=names), account_name="Järvinen Oy")
    data = answer(Books(held), example("published-fields-set"))["data"]
    assert data == {
        "number": "1",
        "reference_number": "1",
        "id": "1",
        "issued_on": "2017-10-10T12:00:00",
        "payment_amount": 225,
    }


def test_the_published_body_with_a_wallet_is_paid_from_it_and_answered_with_the_published_amount() -> None:
    books = Books(an_invoice(500, names=[Identifier("external_id", "54F3A49F23024C51AFF21B7C728F3549")]))
    name = WalletName("number", "W0000007376")
    wallet = Wallet(
        id=1,
        company="acme",
        names={"number": name.value},
        currency="EUR",
        version=1,
        unconditional=500,
        conditional=0,
        drawn=0,
    )
    books.view.wallets, books.view.wallets_named = {1: wallet}, {("acme", name): 1}
    data = answer(books, example("published-wallet"))["data"]
    assert (data["life_cycle_state"], data["payment_amount"]) == ("POSTED", 5)
    assert books.view.wallets[1].available == 0


def test_every_field_reaches_the_registration_or_its_details() -> None:
    registration = to_registration(example("complete"), DEFAULTS)
    assert registration.lines == (Line(identifiers=(Identifier("back_office_code", "BO-17"),), amount_minor=None),)
    assert (registration.paydate, registration.states_paydate) == (date(2014, 7, 14), True)
    assert (registration.payment_type, registration.method) == ("PAY", "5F1C")
    assert registration.account == AccountName("id", "A-1")
    assert registration.details == {
        "category_identifier.code": "DEBT",
        "received_by_user_identifier.username": "mkoskinen",
        "received_by_unit_identifier.name": "Main unit",
        "accounts_receivable_payment_preference_identifier.payment_preference_identifier.name": "Bank transfer",
        "notes": "Ohisuoritus, Järvinen Äijö 💶",
        "back_office_code": "PAY-2014-0001",
        "udf_string_1": "one",
        "udf_string_2": "two",
        "udf_string_3": "three",
        "udf_string_4": "four",
        "udf_string_5": "five",
        "udf_string_6": "six",
        "udf_string_7": "seven",
        "udf_string_8": "eight",
        "udf_float_1": "0.1",
        "udf_float_2": "-12.5",
        "udf_float_3": "1000",
        "udf_float_4": "12345678901234567.89",
        "udf_date_1": "2014-07-14T00:00:00",
        "udf_date_2": "2014-07-14T10:31:15",
        "udf_date_3": "2014-07-14T10:31:00",
        "udf_date_4": "2014-07-14T10:31:15+00:00",
    }


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("id", "external_id"),
        ("number", "billnum"),
        ("reference_number", "reference_number"),
        ("back_office_code", "back_office_code"),
    ],
)
def test_an_invoice_is_looked_up_by_the_one_name_that_is_given(field: str, kind: str) -> None:
    (line,) = read(invoice_identifier={field: "328"}).lines
    assert line.identifiers == ((kind, "328"),)


@pytest.mark.parametrize("field", ["id", "number", "name"])
def test_an_account_that_is_given_must_own_the_invoice(field: str) -> None:
    assert read(accounts_receivable_identifier={field: "192"}).account == AccountName(field, "192")  # type: ignore[arg-type]
    refused = answer(Books(invoice()), message(accounts_receivable_identifier={field: "192"}))
    assert refused["status"]["code"] == "INVOICE_OF_ANOTHER_ACCOUNT"


@pytest.mark.parametrize("field", ["id", "number"])
def test_a_wallet_is_named_by_id_or_number(field: str) -> None:
    registration = read(wallet_identifier={field: "W1"})
    assert registration.wallet == (field, "W1")
    assert registration.settled_by == "wallet"


@pytest.mark.parametrize("field", ["id", "name", "alternative_code"])
def test_type_and_method_are_the_values_that_name_them(field: str) -> None:
    registration = read(type_identifier={field: "T"}, payment_method_identifier={field: "M"})
    assert (registration.payment_type, registration.method) == ("T", "M")


@pytest.mark.parametrize("missing", LEAST)
def test_type_method_and_invoice_are_required(missing: str) -> None:
    assert refusal(**{missing: None}) == f"{missing} Field required"


@pytest.mark.parametrize(("name", "field"), IDENTIFIERS)
def test_an_identifier_is_one_field_never_none_or_two(name: str, field: str) -> None:
    other = next(each for each in IDENTIFIER_FIELDS[name] if each != field)
    assert message(**{name: {field: "1", other: ""}}) == message(**{name: {field: "1"}})
    for wrong in ({}, {field: ""}, {"no field of ours": "1"}, {field: "1", other: "1"}):
        assert refusal(**{name: wrong}).startswith(f"{name} needs exactly one of id, ")
    assert refusal(**{name: "1"}) == f"{name} must be a JSON object"
    assert refusal(**{name: {field: 1}}).startswith(f"{name}.{field} ")


@pytest.mark.parametrize("field", ["id", "name", "alternative_code"])
def test_a_payment_preference_may_be_named_by_an_identifier_within_the_identifier(field: str) -> None:
    name = "accounts_receivable_payment_preference_identifier"
    inner = f"{name}.payment_preference_identifier"
    assert read(**{name: {"payment_preference_identifier": {field: "P"}}}).details == {f"{inner}.{field}": "P"}
    assert refusal(**{name: {"payment_preference_identifier": {}}}).startswith(f"{inner} needs exactly one of")
    assert refusal(**{name: {"payment_preference_identifier": {field: "P"}, "id": "1"}}).startswith(f"{name} needs")


def test_without_a_day_it_is_paid_on_the_day_of_its_processing_and_that_is_no_part_of_its_meaning() -> None:
    later = DEFAULTS._replace(today=date(2017, 10, 11))
    first, second = to_registration(message(), DEFAULTS), to_registration(message(), later)
    assert (first.paydate, second.paydate) == (TODAY, date(2017, 10, 11))
    assert a_request(first).fingerprint == a_request(second).fingerprint


def test_a_card_is_not_charged_but_refused_with_a_reason_of_its_own() -> None:
    asked = example("card")
    registration = to_registration(asked, DEFAULTS)
    assert registration.charges_gateway
    assert registration.details == {"card_identifier.last_digits": "4242"}
    books = Books(an_invoice(names=[Identifier("back_office_code", "BO-17")]))
    assert answer(books, asked)["status"]["code"] == "GATEWAY_CHARGE_UNSUPPORTED"


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        (Decimal("0.10"), "0.1"),
        ("0.1000", "0.1"),
        (100, "100"),
        (Decimal("1E+2"), "100"),
        (Decimal("-12.50"), "-12.5"),
        (Decimal("-0.00"), "0"),
        ("0.10000000000000000000000000000000001", "0.10000000000000000000000000000000001"),
        (9007199254740993, "9007199254740993"),
    ],
)
def test_a_number_of_the_users_own_is_told_exactly_and_in_one_way(spelling: object, text: str) -> None:
    assert read(udf_float_1=spelling).details == {"udf_float_1": text}


@pytest.mark.parametrize("wrong", [True, "NaN", "1,5", " 1", "0x1", "1e99999", [], 1.5, Decimal("NaN")])
def test_what_is_no_number_is_none_of_the_users_either(wrong: object) -> None:
    assert refusal(udf_float_4=wrong).startswith("udf_float_4 ")


@pytest.mark.parametrize("number", ["1e255", "1e-256", Decimal("1e9999"), Decimal("1e-9999"), 10**255])
def test_a_number_of_absurd_length_is_refused(number: object) -> None:
    assert refusal(udf_float_1=number) == "udf_float_1 has too many digits"


def test_the_login_token_is_dropped_wherever_the_payment_goes() -> None:
    asked = example("token")
    assert asked == example("minimal")
    assert "token" not in CrmComPayment.model_fields
    body = (EXAMPLES / "token.json").read_bytes()
    assert b"no-token-of-anyone" in body
    assert b"no-token-of-anyone" not in without_secrets(body, CRM_COM)
    request = a_request(to_registration(asked, DEFAULTS), source=CRM_COM, message=asked)
    assert b"no-token-of-anyone" not in Books().settle_one(request).body


def test_blank_fields_are_fields_that_are_not_given() -> None:
    assert example("blank-fields") == example("minimal")


def test_its_own_code_is_the_idempotency_key() -> None:
    assert CRM_COM.key_field == "back_office_code"
    assert SOURCES["crm-com.pay-invoice.v1"] is CRM_COM


def test_which_fields_are_answered_is_no_part_of_the_payments_meaning() -> None:
    assert read(fields_set="id") == read()


@pytest.mark.parametrize(
    ("fields_set", "names"),
    [
        ("id", ["id"]),
        (" posted_on ,id,, id ", ["id", "posted_on"]),
        ("id,no_field_of_ours,ID", ["id"]),
        ("no_field_of_ours", []),
    ],
)
def test_only_the_fields_named_are_answered(fields_set: str, names: list[str]) -> None:
    assert list(answer(Books(invoice()), message(fields_set=fields_set))["data"]) == names


@pytest.mark.parametrize("fields_set", [None, "", " , "])
def test_all_fields_are_answered_where_none_is_named(fields_set: str | None) -> None:
    assert len(answer(Books(invoice()), message(fields_set=fields_set))["data"]) == 10


def test_times_are_told_to_the_second_and_without_an_offset() -> None:
    data = answer(Books(invoice()), message(), datetime(2017, 10, 10, 12, 0, 59, 999999, UTC))["data"]
    assert (data["issued_on"], data["posted_on"]) == ("2017-10-10T12:00:59", "2017-10-10T12:00:59")


def test_the_amount_is_a_json_number_with_just_the_currencys_digits() -> None:
    books = Books(invoice(22510))
    asked = message(fields_set="payment_amount")
    request = a_request(to_registration(asked, DEFAULTS), source=CRM_COM, message=asked)
    assert b'"data":{"payment_amount":225.10}' in books.settle_one(request).body


def test_a_refusal_has_a_code_that_is_not_ok_the_reason_in_words_and_no_data() -> None:
    text = "No invoice under the identifiers given"
    assert answer(Books(), message()) == {
        "status": {"code": "INVOICE_NOT_FOUND", "description": text, "message": text},
        "data": {},
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"stated_state": "CLOSED"}, "INVOICE_CLOSED"), ({"stated_state": "CANCELLED"}, "INVOICE_CANCELLED")],
)
def test_an_invoice_that_takes_no_payment_is_a_refusal(changes: dict[str, Any], code: str) -> None:
    refused = answer(Books(invoice(**changes)), message())
    assert (refused["status"]["code"], refused["data"]) == (code, {})


def test_an_invalid_payment_is_answered_with_its_errors_in_words() -> None:
    outcome: Any = read_json(Books().settle_one(an_invalid_request(source=CRM_COM)).body)
    status = outcome["response"]["status"]
    assert (status["code"], status["message"]) == ("INVALID", "amount must be a finite number")
    assert outcome["response"]["data"] == {}


def test_a_payment_that_is_not_booked_yet_is_no_success_but_a_draft_that_keeps_its_id() -> None:
    books = Books(invoice())
    asked = message(received_on="2017-10-11T08:00:00")
    waiting = answer(books, asked)
    assert waiting["status"]["code"] == "PAYDATE_IN_FUTURE"
    assert waiting["data"]["life_cycle_state"] == "DRAFT"
    assert waiting["data"]["posted_on"] is None
    booked = answer(books, asked, datetime(2017, 10, 11, 12, tzinfo=UTC))
    assert booked["status"]["code"] == "OK"
    assert (booked["data"]["id"], booked["data"]["life_cycle_state"]) == (waiting["data"]["id"], "POSTED")


def test_an_invoice_that_is_awaited_is_answered_likewise() -> None:
    waiting = answer(Books(policies=[a_policy(await_invoice_s=60)]), message())
    assert (waiting["status"]["code"], waiting["data"]["life_cycle_state"]) == ("INVOICE_AWAITED", "DRAFT")


def test_a_payment_that_was_cancelled_before_it_came_is_told_as_cancelled() -> None:
    books = Books(invoice())
    books.view.mark_cancelled(("acme", "key-1"))
    cancelled = answer(books, message())
    assert cancelled["status"]["code"] == "PAYMENT_CANCELLED"
    assert (cancelled["data"]["life_cycle_state"], cancelled["data"]["posted_on"]) == ("CANCELLED", None)


def test_an_answer_can_be_encoded_as_it_is() -> None:
    assert encode(answer(Books(invoice()), message())).startswith(b'{"status":{"code":"OK"')
