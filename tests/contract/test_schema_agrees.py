"""The published schemas and the worker's own reading of a message agree, by example and by property."""

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker, TypeChecker, validators

import schemas
from schemas import catalog
from schemas.codec import encode, parse, read_json
from schemas.invalid import InvalidMessageError, MalformedJsonError
from schemas.limits import IDENTIFIER_CHARS_MAX, INTEGER_ID_MAX, TEXT_CHARS_MAX

PUBLISHED = Path(schemas.__file__).parent / "published"


def is_integer(_: TypeChecker, value: object) -> bool:
    """Say what JSON Schema says of a number: 5.0 is an integer. The validator itself knows that of floats alone."""
    return Draft202012Validator.TYPE_CHECKER.is_type(value, "integer") or (
        isinstance(value, Decimal) and value == value.to_integral_value()
    )


Validator: type[Draft202012Validator] = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer)
)
VALIDATORS = {
    name: Validator(json.loads((PUBLISHED / f"{name}.json").read_text()), format_checker=FormatChecker(["date"]))
    for name in catalog.TYPES
}


def is_read(message_type: str, body: bytes) -> bool:
    try:
        parse(catalog.TYPES[message_type].model, read_json(body))
    except (InvalidMessageError, MalformedJsonError):
        return False
    return True


def is_said(message_type: str, body: bytes) -> bool:
    return VALIDATORS[message_type].is_valid(read_json(body))


Values = st.SearchStrategy[Any]

# Names that mean something, with values from right to nearly right. Values that no schema can tell apart stand below.
amounts: Values = st.one_of(
    st.decimals(min_value=0, max_value=10**9, places=2),
    st.decimals(min_value=0, max_value=10**9, places=2).map(str),
    st.sampled_from(
        [0, 710, 10**15 - 1, 10**15, -1, "0", "-0", "-0.00", "-1", "007.10", "7.1e2", "1E2", "1e-2", "1e+2"]
    ),
    st.sampled_from(
        [Decimal("-0.00"), "", " ", " 1", "1 ", "1,00", ".5", "5.", "0x10", "1_000", "٣", "NaN", "Infinity"]
    ),
    st.sampled_from([None, True, [], {}, ["1"], {"amount": 1}]),
)
texts: Values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    st.sampled_from(["", "R1234567", None, 0, False, [], {}, ["R1"]]),
)


def long_texts(chars_max: int) -> st.SearchStrategy[str]:
    return st.sampled_from(["Ä" * chars_max, "\U0001f4b6" * chars_max, "Ä" * (chars_max + 1)])


names = texts | long_texts(IDENTIFIER_CHARS_MAX)
integer_ids: Values = st.one_of(
    st.integers(min_value=-2, max_value=INTEGER_ID_MAX + 2),
    st.integers(min_value=0, max_value=INTEGER_ID_MAX).map(str),
    st.sampled_from(["", "-1", "+1", "1.0", "1e3", " 1", "٣", "0001", None, True, [], {}, Decimal("1.5")]),
    st.sampled_from(["5.0", "-0.0", "7e1", "5.00000000000000000000000000000000001", "1e18", "1e19"]).map(Decimal),
)
dates: Values = st.one_of(
    st.dates().map(str),
    st.sampled_from(["", "2017-02-30", "2017-13-01", "0000-01-01", "2017-1-1", "20171010", "2017-10-10T00:00:00"]),
    st.sampled_from(["10.10.2017", "2017-W41-2", "٢٠١٧-10-10", None, 20171010, True, [], {}]),
)
states: Values = st.sampled_from(["OPEN", "CLOSED", "CANCELLED", "open", "", None, 0, True, [], {}, ["OPEN"]])
currencies: Values = st.sampled_from(["EUR", "JPY", "KWD", "eur", "EURO", "", None, 978, True, [], {}])
accounts: Values = st.one_of(
    st.fixed_dictionaries({}, optional={"id": names, "number": names, "name": names, "else": names}),
    st.sampled_from(["", None, "A-1", 1, False, [], [{}]]),
)
datetimes: Values = dates.filter(lambda day: day not in ("2017-02-30", "2017-13-01", "0000-01-01")) | (
    st.datetimes().map(str)
    | st.sampled_from(["2018-07-24T10:00", "2018-07-24 10:00:00.5Z", "2018-07-24 10:00:00+03:00", "2018-07-24 10"])
)
ivvy_methods: Values = (st.integers(-1, 15) | st.integers(-1, 15).map(lambda whole: Decimal(f"{whole}.0"))) | (
    st.integers(-1, 15).map(str) | st.sampled_from(["", "013", "1.0", " 1", "Cash", "٣", None, True, [], {}])
)
ivvy_cards: Values = st.sampled_from([*range(-1, 6), "0", "04", "5", "", None, True, [], {}, ["Visa"]]) | (
    st.sampled_from(
        ["Visa", "vISA", "master card", "MasterCard", "UNKNOWN", "un\N{KELVIN SIGN}nown", "Visa ", "4 Diners"]
    )
)
percents: Values = st.decimals(min_value=-1, max_value=101, places=3) | (
    st.sampled_from([0, 100, 101, "0", "10", "2.5", "1e1", "-0", "-1", "10%", "", " 1", None, True, [], {}])
)
not_allowed: Values = st.sampled_from([None, "", " ", "stripe", 0, 5452, False, [], {}])
integer_id_lists: Values = st.lists(integer_ids, max_size=3) | st.sampled_from([None, "", "3,5", 3, {}, [[]]])
statuses: Values = st.sampled_from(["FINAL", "CANCELLED", "final", "", None, 0, True, [], {}, ["FINAL"]])
payment_lines: Values = st.one_of(
    st.lists(
        st.fixed_dictionaries(
            {"number": names, "amount": amounts}, optional={"referenceNumber": names, "no field of ours": names}
        ),
        max_size=3,
    ),
    st.sampled_from([None, "", "FT TEST/001", 1, True, {}, [], [[]], [{}], [None], [{"number": "FT TEST/001"}]]),
)
long: Values = texts | long_texts(TEXT_CHARS_MAX)
user_numbers: Values = amounts | st.decimals(min_value=-(10**9), max_value=10**9, places=3)
texts_by_name: Values = st.dictionaries(st.just("description") | st.text("abc", max_size=2), texts, max_size=3) | (
    st.sampled_from(["", None, 1, False, [], [{}], "a", {"n" * 255: "x"}, {"n" * 256: "x"}, {"n": "x" * 4001}])
    | st.sampled_from([50, 51]).map(lambda entries: {str(entry): "x" for entry in range(entries)})
)
payment_keys: Values = names | st.sampled_from([" ", "\t\n", "\u2003", "\x85", " RG TEST/001 ", 156])


def one_of(*fields: str) -> Values:
    """An identifier as it should be, with more fields or fewer, or nothing like it."""
    return (
        st.builds(lambda field, name: {field: name}, st.sampled_from(fields), st.sampled_from(["192", "Järvinen Oy"]))
        | st.fixed_dictionaries({}, optional=dict.fromkeys([*fields, "no field of ours"], names))
        | st.sampled_from(["", None, "192", 192, False, [], {}, [{}], [{fields[0]: "192"}]])
    )


listed = one_of("id", "name", "alternative_code")
payment_preferences = one_of("id", "payment_medium_identifier", "bank_account_number") | (
    st.fixed_dictionaries({"payment_preference_identifier": listed}, optional={"id": names})
)
surcharges: Values = st.one_of(
    st.fixed_dictionaries({"amount": amounts}),
    st.fixed_dictionaries({"percent": percents}, optional={"amount": amounts}),
    st.sampled_from(["", None, 1, "1.50", False, [], {}, {"percent": 10}]),
)
canonical_amounts: Values = amounts | st.sampled_from(["all", "all", "ALL", "al", ["all"]])
canonical_lines: Values = st.one_of(
    st.lists(
        st.fixed_dictionaries(
            {"billcode": st.just("1234567") | names, "amount": canonical_amounts},
            optional={
                "jobid": integer_ids,
                "billnum": names,
                "reference_number": names,
                "back_office_code": names,
                "external_id": names,
                "references": texts_by_name,
                "no field of ours": names,
            },
        ),
        max_size=3,
    ),
    st.lists(st.sampled_from([{"jobid": 1, "amount": "all"}, {"jobid": 2, "amount": 1}, {"jobid": 3}]), max_size=3),
    st.sampled_from([500, 501]).map(lambda lines: [{"jobid": 1, "amount": 1}] * lines),
    st.sampled_from([None, "", "all", 1, True, {}, [], [[]], [{}], [None], [{"amount": 1}]]),
)

FIELDS: dict[str, dict[str, Values]] = {
    "ropo.payment.v1": {
        "amount": amounts,
        "paydate": dates,
        "billcode": names,
        "jobid": integer_ids,
        "billnum": names,
        "identifier": names,
        "type": names,
        "creditnotebillnum": names,
        "description": texts | long_texts(TEXT_CHARS_MAX),
        "no field of ours": names,
    },
    "ivvy.add-payment.v1": {
        "invoiceId": integer_ids,
        "paidDate": datetimes,
        "amountPaid": amounts,
        "paymentMethod": ivvy_methods,
        "gateway": not_allowed,
        "paymentId": not_allowed,
        "customPaymentMethodId": integer_ids,
        "receiptNum": names,
        "reconciledDate": datetimes,
        "cardType": ivvy_cards,
        "feePercentage": percents,
        "feeAmount": amounts,
        "feeExcludedTaxIds": integer_id_lists,
        "chequeNumber": names,
        "chequeDrawerName": names,
        "chequeBankBranch": names,
        "eftTransferDate": datetimes,
        "eftPaymentReference": names,
        "no field of ours": names,
    },
    "invisible-collector.payment.v1": {
        "number": names,
        "externalId": names,
        "status": statuses,
        "type": names,
        "date": dates,
        "netTotal": amounts,
        "tax": amounts,
        "grossTotal": amounts,
        "currency": currencies,
        "lines": payment_lines,
        "no field of ours": names,
    },
    "crm-com.pay-invoice.v1": {
        "accounts_receivable_identifier": one_of("id", "number", "name"),
        "wallet_identifier": one_of("id", "number"),
        "type_identifier": listed,
        "category_identifier": one_of("id", "name", "code"),
        "payment_method_identifier": listed,
        "invoice_identifier": one_of("id", "number", "reference_number", "back_office_code"),
        "received_on": datetimes,
        "received_by_user_identifier": one_of("id", "username"),
        "received_by_unit_identifier": listed,
        "card_identifier": one_of("id", "payment_gateway_reference_number", "last_digits"),
        "accounts_receivable_payment_preference_identifier": payment_preferences,
        "notes": long,
        "back_office_code": names,
        **{f"udf_string_{number}": long for number in range(1, 9)},
        **{f"udf_float_{number}": user_numbers for number in range(1, 5)},
        **{f"udf_date_{number}": datetimes for number in range(1, 5)},
        "fields_set": long,
        "no field of ours": names,
    },
    "payment.register.v1": {
        "lines": canonical_lines,
        "amount": amounts,
        "currency": currencies,
        "paydate": dates,
        "type": names,
        "method": names,
        "account": one_of("id", "number", "name"),
        "wallet": one_of("id", "number"),
        "settled_by": st.sampled_from(["money", "write_off", "write_off", "wallet", "", None, 0, True, [], {}]),
        "surcharge": surcharges,
        "status": statuses,
        "allocation": st.sampled_from(["pro-rata", "capital-interest-noticefee", "PRO_RATA", "", None, 0, [], {}]),
        "distribution": st.sampled_from(["pro-rata", "oldest-due", "OLDEST_DUE", "", None, 0, True, [], {}]),
        "overpayment": st.sampled_from(["keep", "reject", "Reject", "", None, 0, True, [], {}, ["keep"]]),
        "description": long,
        "details": texts_by_name,
        "no field of ours": names,
    },
    "payment.cancel.v1": {"payment": payment_keys, "reason": long, "no field of ours": names},
    "invoice.put.v1": {
        "jobid": integer_ids,
        "billcode": names,
        "billnum": names,
        "reference_number": names,
        "back_office_code": names,
        "external_id": names,
        "account": accounts,
        "currency": currencies,
        "capital": amounts,
        "interest": amounts,
        "noticefee": amounts,
        "state": states,
        "due_date": dates,
        "version": integer_ids,
        "no field of ours": names,
    },
    "wallet.put.v1": {
        "id": names,
        "number": names,
        "currency": currencies,
        "unconditional": amounts,
        "conditional": amounts,
        "version": integer_ids,
        "no field of ours": names,
    },
}
SOUND: dict[str, dict[str, Any]] = {
    "ropo.payment.v1": {"amount": "710.00", "paydate": "2017-10-10", "billcode": "1234567"},
    "ivvy.add-payment.v1": {
        "invoiceId": "156",
        "paidDate": "2018-07-24 00:00:00",
        "amountPaid": 10,
        "paymentMethod": 8,
    },
    "invisible-collector.payment.v1": {
        "number": "RG TEST/001",
        "date": "2016-07-01",
        "type": "RG",
        "currency": "EUR",
        "lines": [{"number": "FT TEST/001", "amount": "10.75"}],
    },
    "crm-com.pay-invoice.v1": {
        "type_identifier": {"name": "Payment"},
        "payment_method_identifier": {"name": "Bank transfer"},
        "invoice_identifier": {"reference_number": "328"},
    },
    "payment.register.v1": {"paydate": "2017-10-10", "lines": [{"billcode": "1234567", "amount": "710.00"}]},
    "payment.cancel.v1": {"payment": "bank-2017-10-10-0001"},
    "invoice.put.v1": {"capital": "710.00", "version": 1, "billcode": "1234567"},
    "wallet.put.v1": {"unconditional": "710.00", "version": 1, "number": "192"},
}


def test_the_strategies_know_every_field() -> None:
    for name, fields in FIELDS.items():
        assert fields.keys() - {"no field of ours"} == catalog.TYPES[name].model.model_fields.keys()
    assert FIELDS.keys() == catalog.TYPES.keys()


@pytest.mark.parametrize("message_type", FIELDS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_schema_and_worker_take_and_refuse_the_same_messages(message_type: str, data: st.DataObject) -> None:
    fields = FIELDS[message_type]
    changed = data.draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=4))
    raw = SOUND[message_type] | {name: data.draw(fields[name], label=name) for name in changed}
    for name in data.draw(st.sets(st.sampled_from(sorted(SOUND[message_type])), max_size=1)):
        del raw[name]
    body = encode(raw)
    event("read" if is_read(message_type, body) else "refused")
    assert is_said(message_type, body) == is_read(message_type, body)


@pytest.mark.parametrize("message_type", FIELDS)
@pytest.mark.parametrize("raw", [b"[]", b"null", b'""', b"1", b"true", b"{}", b"[{}]"])
def test_what_is_no_object_of_ours_both_refuse(message_type: str, raw: bytes) -> None:
    assert not is_read(message_type, raw)
    assert not is_said(message_type, raw)


@pytest.mark.parametrize(
    "field",
    [
        b'"amount": 0.00000000000000001',
        b'"amount": 1.0000000000000000',
        b'"amount": "9999999999999999"',
        b'"amount": "1e99"',
        b'"jobid": "9999999999999999999"',
        b'"billcode": "a\\u0000b"',
        b'"billcode": "a\\ud800b"',
    ],
)
def test_what_no_schema_can_say_the_worker_refuses(field: bytes) -> None:
    """The digits of an amount, the greatest id as text, text that cannot be stored: here the schema is wider."""
    sound = {name: value for name, value in SOUND["ropo.payment.v1"].items() if f'"{name}"'.encode() not in field}
    body = encode(sound)[:-1] + b", " + field + b"}"
    assert is_said("ropo.payment.v1", body)
    assert not is_read("ropo.payment.v1", body)


def test_an_unknown_currency_of_three_letters_only_the_worker_refuses() -> None:
    body = encode(SOUND["invoice.put.v1"] | {"currency": "EUX"})
    assert is_said("invoice.put.v1", body)
    assert not is_read("invoice.put.v1", body)


@pytest.mark.parametrize("method", range(14))
@pytest.mark.parametrize("given", ["cardType", "chequeNumber", "customPaymentMethodId", None])
def test_both_know_which_field_an_ivvy_payment_method_needs(method: int, given: str | None) -> None:
    needed = {1: "cardType", 5: "chequeNumber", 13: "customPaymentMethodId"}.get(method)
    for spelling in (method, str(method), f"0{method}"):
        raw = SOUND["ivvy.add-payment.v1"] | {"paymentMethod": spelling} | ({given: "1"} if given is not None else {})
        body = encode(raw)
        assert is_said("ivvy.add-payment.v1", body) == is_read("ivvy.add-payment.v1", body)
        assert is_read("ivvy.add-payment.v1", body) == (method != 7 and needed in (None, given))


@pytest.mark.parametrize(
    "changed",
    [
        {"paidDate": "2018-02-30 00:00:00"},
        {"paidDate": "2018-07-24 10:60"},
        {"reconciledDate": "2018-07-24 10:00+25:00"},
        {"feePercentage": "100.01"},
        {"feeExcludedTaxIds": ["9999999999999999999"]},
    ],
)
def test_no_day_and_no_share_of_an_ivvy_payment_only_the_worker_refuses(changed: dict[str, Any]) -> None:
    body = encode(SOUND["ivvy.add-payment.v1"] | changed)
    assert is_said("ivvy.add-payment.v1", body)
    assert not is_read("ivvy.add-payment.v1", body)


@pytest.mark.parametrize("amounts", [*itertools.product([None, 1, "all"], repeat=2)])
@pytest.mark.parametrize("amount", [None, 2])
@pytest.mark.parametrize("surcharge", [None, {"amount": 1}, {"percent": 1}])
def test_both_know_which_canonical_amounts_fit_together(amounts: list[Any], amount: Any, surcharge: Any) -> None:
    lines = [{"billcode": "1234567", "amount": each} for each in amounts]
    body = encode({"paydate": "2017-10-10", "amount": amount, "surcharge": surcharge, "lines": lines})
    fits = "all" not in amounts if amount is not None else None not in amounts
    assert is_said("payment.register.v1", body) == is_read("payment.register.v1", body) == fits


@pytest.mark.parametrize(
    ("message_type", "more"),
    [
        ("crm-com.pay-invoice.v1", b'"udf_float_1": 1e255'),
        ("crm-com.pay-invoice.v1", b'"udf_float_1": "1e-256"'),
        ("crm-com.pay-invoice.v1", b'"udf_date_1": "2017-02-30"'),
        ("payment.register.v1", b'"details": {"a\\u0000b": ""}'),
        ("payment.register.v1", b'"details": {"a": "\\ud800"}'),
        ("payment.cancel.v1", b'"reason": "a\\u0000b"'),
    ],
)
def test_of_numbers_days_and_text_of_the_senders_own_only_the_worker_knows_all(message_type: str, more: bytes) -> None:
    body = encode(SOUND[message_type])[:-1] + b", " + more + b"}"
    assert is_said(message_type, body)
    assert not is_read(message_type, body)
