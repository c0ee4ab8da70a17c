import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import fields, replace

from schemas.orders import AllocationOrder, Distribution
from schemas.registration import AccountName, Cancellation, Identifier, Line, Registration, WalletName
from tests.builders import BILLCODE, EXAMPLE, TODAY, a_line, a_message, a_policy, a_registration
from worker.domain.fingerprint import fingerprint
from worker.domain.request import read_request


def of(body: bytes | Mapping[str, Any]) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = read_request(a_message(content), a_policy(), TODAY).fingerprint
    assert found is not None
    return found


def test_the_fingerprints_of_this_release_are_those_of_every_other() -> None:
    """These stand in the books for ever. If one changes, every replay of an earlier payment becomes a conflict."""
    assert of(EXAMPLE).hex() == "80c31834b0cc32d74a132007138ed0f67091a06a6602ba385ffd1ba340068c3e"
    assert fingerprint(a_registration()).hex() == "f8e28e86c59bb2818c6b48fc8403cc22e0bf937eee59677052e8452055b0ceb7"
    lines = (
        a_line(1075, Identifier("billnum", "FT TEST/001")),
        a_line(2000, Identifier("billnum", "FT TEST/001"), references={"referenceNumber": "NC NC/001"}),
    )
    several = a_registration(*lines, source="invisible-collector.payment.v1", paydate=date(2016, 7, 1))
    assert fingerprint(several).hex() == "15312e03596c518af31fdebdcd7f7cec904ac30d32e24337d41089ad8ae9f057"
    full = a_registration(
        a_line(None),
        a_line(500, BILLCODE, references={"note": "1"}),
        source="payment.register.v1",
        total_minor=71000,
        payment_type="transfer",
        method="bank",
        account=AccountName("number", "192"),
        wallet=WalletName("id", "W1"),
        is_write_off=True,
        surcharge_minor=150,
        is_cancelled=True,
        charges_gateway=True,
        refuses_overpayment=True,
        allocation=AllocationOrder.PRO_RATA,
        distribution=Distribution.EXACT_MATCH,
        details={"description": "all that can be said"},
    )
    assert fingerprint(full).hex() == "7ffa1f5e64d8cf15baf14acc8cc25c2f512e72d848d494c48e55cc4fb7089b62"
    cancellation = Cancellation(source="payment.cancel.v1", payment_key="key-1", why="paid by mistake")
    assert fingerprint(cancellation).hex() == "50104dea95ffdefbcaba2c92703035a6754ea66f3be27cbd120371099a18eb3d"


@pytest.mark.parametrize("amount", ["710", "710.0", "710.00", '"710"', '"710.00"', "7.1e2", '"7.1E+2"', '"0710.00"'])
def test_the_same_amount_said_otherwise_is_the_same(amount: str) -> None:
    assert of(json.dumps(EXAMPLE).replace('"710.00"', amount).encode()) == of(EXAMPLE)


def test_the_order_and_spacing_of_a_body_say_nothing() -> None:
    assert of(json.dumps(dict(reversed(list(EXAMPLE.items()))), indent=4).encode()) == of(EXAMPLE)


def test_unknown_fields_say_nothing() -> None:
    assert of({**EXAMPLE, "sent_at": "2017-10-11T08:00:00Z", "attempt": 2}) == of(EXAMPLE)


def test_escapes_in_a_body_say_nothing() -> None:
    assert of(json.dumps(EXAMPLE).replace("insurance", "\\u0069nsurance").encode()) == of(EXAMPLE)


@pytest.mark.parametrize("name", ["billnum", "identifier", "type", "creditnotebillnum", "description"])
def test_a_field_left_out_is_one_that_is_null_or_empty(name: str) -> None:
    without = of({key: value for key, value in EXAMPLE.items() if key != name})
    assert of({**EXAMPLE, name: None}) == of({**EXAMPLE, name: ""}) == without
    assert without != of(EXAMPLE)


@pytest.mark.parametrize(("said", "same"), [(42, "42"), (42, "042")])
def test_a_jobid_is_the_same_as_number_and_as_text(said: object, same: object) -> None:
    assert of({**EXAMPLE, "jobid": said}) == of({**EXAMPLE, "jobid": same})


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "710.01"},
        {"paydate": "2017-10-11"},
        {"billcode": "1234568"},
        {"billnum": "R1234568"},
        {"jobid": 1},
        {"identifier": "Insurance"},
        {"type": "cash"},
        {"creditnotebillnum": "26252"},
        {"description": "Payment received to the client bank account "},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_field_of_a_body_is_part_of_its_meaning(change: dict[str, Any]) -> None:
    assert of({**EXAMPLE, **change}) != of(EXAMPLE)


PLAIN = a_registration(details={"identifier": "insurance"})
CHANGES: dict[str, list[Registration]] = {
    "source": [replace(PLAIN, source="payment.register.v1")],
    "currency": [replace(PLAIN, currency="USD")],
    "paydate": [replace(PLAIN, paydate=TODAY.replace(year=2018))],
    "total_minor": [replace(PLAIN, total_minor=71000), replace(PLAIN, total_minor=0)],
    "payment_type": [replace(PLAIN, payment_type="directpayment"), replace(PLAIN, payment_type="")],
    "method": [replace(PLAIN, method="directpayment")],
    "account": [replace(PLAIN, account=AccountName("id", "1")), replace(PLAIN, account=AccountName("number", "1"))],
    "wallet": [replace(PLAIN, wallet=WalletName("id", "1")), replace(PLAIN, wallet=WalletName("id", "2"))],
    "is_write_off": [replace(PLAIN, is_write_off=True)],
    "surcharge_minor": [replace(PLAIN, surcharge_minor=100), replace(PLAIN, surcharge_minor=1000)],
    "is_cancelled": [replace(PLAIN, is_cancelled=True)],
    "charges_gateway": [replace(PLAIN, charges_gateway=True)],
    "refuses_overpayment": [replace(PLAIN, refuses_overpayment=True)],
    "allocation": [replace(PLAIN, allocation=order) for order in AllocationOrder],
    "distribution": [replace(PLAIN, distribution=distribution) for distribution in Distribution],
    "details": [
        replace(PLAIN, details={}),
        replace(PLAIN, details={"identifier": "other"}),
        replace(PLAIN, details={"description": "insurance"}),
    ],
    "surcharge_percent": [replace(PLAIN, surcharge_percent=Decimal(10)), replace(PLAIN, surcharge_percent=Decimal(1))],
    "lines": [
        replace(PLAIN, lines=(a_line(71001),)),
        replace(PLAIN, lines=(a_line(None),)),
        replace(PLAIN, lines=(a_line(0),)),
        replace(PLAIN, lines=(a_line(71000, Identifier("billnum", BILLCODE.value)),)),
        replace(PLAIN, lines=(a_line(71000, BILLCODE, Identifier("jobid", "1")),)),
        replace(PLAIN, lines=(a_line(references={"creditnotebillnum": "1"}),)),
        replace(PLAIN, lines=(a_line(), a_line())),
        replace(PLAIN, lines=(a_line(70000), a_line(1000))),
        replace(PLAIN, lines=(a_line(1000), a_line(70000))),
    ],
}


def test_each_field_of_a_registration_is_part_of_its_meaning() -> None:
    everything = [PLAIN, *(changed for registrations in CHANGES.values() for changed in registrations)]
    assert len({fingerprint(registration) for registration in everything}) == len(everything)


def test_a_cancellation_means_the_payment_that_it_names_whatever_is_said_to_be_why() -> None:
    plain = Cancellation(source="payment.cancel.v1", payment_key="1")
    others = [replace(plain, source="payment.cancel.v2"), replace(plain, payment_key="2")]
    assert len({fingerprint(cancellation) for cancellation in (plain, *others)}) == 3
    assert fingerprint(replace(plain, why="1")) == fingerprint(plain)


def test_a_new_field_does_not_stay_out_of_the_fingerprint_unnoticed() -> None:
    """Whether currency and date are the message's own is tried below."""
    left_out = {"states_currency", "states_paydate"}
    assert {field.name for field in fields(Registration)} == CHANGES.keys() | left_out
    assert {field.name for field in fields(Line)} == {"identifiers", "amount_minor", "references"}
    assert {field.name for field in fields(Cancellation)} == {"source", "payment_key", "why"}


def test_a_date_that_the_message_does_not_name_is_no_part_of_its_meaning() -> None:
    """It is the day on which it was processed, and it may come again on another."""
    first = a_registration(paydate=date(2017, 10, 10), states_paydate=False)
    again = a_registration(paydate=date(2017, 10, 11), states_paydate=False)
    assert fingerprint(first) == fingerprint(again)
    assert fingerprint(first) != fingerprint(replace(first, states_paydate=True))


def test_a_currency_that_the_message_does_not_name_is_no_part_of_its_meaning() -> None:
    """It is the company's, which may change; what was booked before is still the same payment."""
    in_euro = a_registration(a_line(71000), states_currency=False)
    in_dinar = a_registration(a_line(710000), currency="KWD", states_currency=False)
    in_yen = a_registration(a_line(710), currency="JPY", states_currency=False)
    assert fingerprint(in_euro) == fingerprint(in_dinar) == fingerprint(in_yen)
    wholes = ((in_euro, 100), (in_dinar, 1000), (in_yen, 1))
    assert len({fingerprint(replace(each, total_minor=one, surcharge_minor=one)) for each, one in wholes}) == 1
    assert fingerprint(in_euro) != fingerprint(replace(in_euro, states_currency=True))
    assert fingerprint(in_yen) != fingerprint(a_registration(a_line(71), currency="JPY", states_currency=False))


def test_a_type_and_a_detail_of_the_same_text_are_not_confused() -> None:
    assert fingerprint(a_registration(payment_type="x")) != fingerprint(a_registration(details={"type": "x"}))


def test_the_order_of_details_and_references_says_nothing() -> None:
    one, two = ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    assert fingerprint(a_registration(details=one)) == fingerprint(a_registration(details=two))
    assert fingerprint(a_registration(a_line(references=one))) == fingerprint(a_registration(a_line(references=two)))


def test_a_fee_in_percent_is_the_same_whatever_it_comes_to() -> None:
    """In another currency it is rounded otherwise, and the company's may change."""
    one, other = (a_registration(surcharge_percent=Decimal(text)) for text in ("10", "10.00"))
    assert fingerprint(one) == fingerprint(other)
