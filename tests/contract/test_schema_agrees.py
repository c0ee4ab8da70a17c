"""The published schemas and the worker's own reading of a message agree, by example and by property."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

import schemas
from schemas import catalog
from schemas.codec import encode, parse, read_json
from schemas.invalid import InvalidMessageError, MalformedJsonError
from schemas.limits import IDENTIFIER_CHARS_MAX, INTEGER_ID_MAX, TEXT_CHARS_MAX

PUBLISHED = Path(schemas.__file__).parent / "published"
VALIDATORS = {
    name: Draft202012Validator(
        json.loads((PUBLISHED / f"{name}.json").read_text()), format_checker=FormatChecker(["date"])
    )
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
}
SOUND: dict[str, dict[str, Any]] = {
    "ropo.payment.v1": {"amount": "710.00", "paydate": "2017-10-10", "billcode": "1234567"},
    "invoice.put.v1": {"capital": "710.00", "version": 1, "billcode": "1234567"},
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
