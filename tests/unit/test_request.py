import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.catalog import KEY_HEADER
from schemas.invoice import InvoicePut
from schemas.limits import BODY_BYTES_MAX
from schemas.sources import SOURCES
from schemas.wallet import WalletPut
from tests.builders import COMPANY, TODAY, a_message, a_policy, body, with_key
from worker.domain.errors import DeadLetterReason, RefusedError
from worker.domain.message import Message, ReturnAddress
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request, read_statement

POLICY = a_policy()


def read(message: Message, policy: Policy | None = POLICY) -> Request:
    return read_request(message, policy, TODAY)


def refusal(message: Message, policy: Policy | None = POLICY) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        read_request(message, policy, TODAY)
    return refused.value


def test_a_message_becomes_a_request_of_the_company_in_its_routing_key() -> None:
    message = a_message()
    request = read(message)
    assert (request.company, request.key, request.identity) == (COMPANY, "key-1", (COMPANY, "key-1"))
    assert request.source is SOURCES["ropo.payment.v1"]
    assert request.registration is not None
    assert request.registration.known_amount_minor == 71000
    assert request.body == message.body
    assert (request.errors, request.reconsidered, request.return_address) == ((), False, ReturnAddress())


def test_a_body_never_names_the_company() -> None:
    assert read(a_message(body(company="other"))).company == COMPANY


def test_a_request_looked_at_again_is_the_same_but_for_that() -> None:
    request = read(a_message())
    assert request.again() == replace(request, reconsidered=True)


# The idempotency key.


def test_the_header_goes_before_the_message_id() -> None:
    assert read(a_message(headers={"idempotency-key": "from the header"})).key == "from the header"


def test_without_the_header_the_message_id_is_the_key() -> None:
    assert read(a_message(message_id="from the property", headers={"other": "x"})).key == "from the property"


@pytest.mark.parametrize("message_id", [None, ""])
def test_without_any_key_it_is_refused(message_id: str | None) -> None:
    refused = refusal(a_message(message_id=message_id))
    assert refused.reason is DeadLetterReason.MISSING_IDEMPOTENCY_KEY
    assert "idempotency-key" in refused.text


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ropo's source, as one whose own body holds its key in `billcode`."""
    ropo = dataclasses.replace(SOURCES["ropo.payment.v1"], key_field="billcode")
    monkeypatch.setitem(SOURCES, "ropo.payment.v1", ropo)


@pytest.mark.usefixtures("numbered")
def test_a_sources_own_key_goes_before_the_message_id_and_after_the_header() -> None:
    assert read(a_message()).key == "1234567"
    assert read(with_key("from the header")).key == "from the header"


@pytest.mark.usefixtures("numbered")
@pytest.mark.parametrize("absent", [{"billcode": None}, {"billcode": ""}])
def test_where_a_source_gives_no_key_of_its_own_the_message_id_is_the_key(absent: dict[str, Any]) -> None:
    assert read(a_message(body(**absent))).key == "key-1"


@pytest.mark.usefixtures("numbered")
def test_a_body_that_is_no_object_has_no_key_of_its_own() -> None:
    assert read(a_message(b'["billcode"]')).key == "key-1"
    assert refusal(a_message(b"[]", message_id=None)).reason is DeadLetterReason.INVALID


@pytest.mark.usefixtures("numbered")
@pytest.mark.parametrize("own", [5, 0, True, False, ["x"], {}])
def test_a_sources_own_key_that_is_no_text_is_not_passed_over(own: object) -> None:
    refused = refusal(a_message(body(billcode=own)))
    assert refused.reason is DeadLetterReason.INVALID
    assert refused.errors == ({"field": "billcode", "message": "must be text of 1 to 255 characters"},)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        5,
        0,
        True,
        1.5,
        Decimal(1),
        b"key",
        bytearray(b"key"),
        datetime(2017, 10, 10, tzinfo=UTC),
        ["key"],
        {"key": "key"},
        "k" * 256,
    ],
    ids=lambda value: type(value).__name__ + str(value)[:3],
)
def test_a_header_that_is_no_key_is_not_passed_over_for_the_message_id(value: object) -> None:
    refused = refusal(with_key(value))
    assert refused.reason is DeadLetterReason.INVALID
    assert refused.errors == ({"field": "headers.idempotency-key", "message": "must be text of 1 to 255 characters"},)


@pytest.mark.parametrize("key", ["k\x00", "k\udcff"], ids=["NUL", "no UTF-8"])
def test_a_key_that_postgres_cannot_hold_is_refused(key: str) -> None:
    for message, field in ((with_key(key), "headers.idempotency-key"), (a_message(message_id=key), "message_id")):
        refused = refusal(message)
        assert (refused.reason, refused.errors[0]["field"]) == (DeadLetterReason.INVALID, field)
        assert key not in refused.text


def test_a_key_of_255_characters_is_taken_as_it_is() -> None:
    for key in ("k", "ä" * 255, " k ", "😀" * 255):
        assert read(with_key(key)).key == key


def test_a_message_id_of_more_characters_is_refused() -> None:
    assert refusal(a_message(message_id="k" * 256)).errors[0]["field"] == "message_id"


# Type, content type, size, company.


@pytest.mark.parametrize(
    "properties",
    [
        {"content_type": None},
        {"content_type": ""},
        {"content_type": "application/json"},
        {"content_type": "Application/JSON; charset=utf-8"},
        {"content_type": " application/json ;x"},
        {"content_encoding": ""},
        {"content_encoding": "identity"},
        {"content_encoding": "UTF-8"},
        {"type": None},
        {"type": ""},
        {"type": "ropo.payment.v1"},
    ],
    ids=str,
)
def test_json_of_a_known_type_is_read(properties: dict[str, str | None]) -> None:
    assert read(a_message(**properties)).registration is not None


@pytest.mark.parametrize(
    "properties",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/jsonl"},
        {"content_type": "application/xml; application/json"},
        {"content_type": "\udcff"},
        {"content_encoding": "gzip"},
        {"content_encoding": "deflate", "content_type": "application/json"},
    ],
    ids=ascii,
)
def test_another_content_is_refused(properties: dict[str, str]) -> None:
    refused = refusal(a_message(**properties))
    assert refused.reason is DeadLetterReason.UNSUPPORTED_CONTENT_TYPE
    assert refused.text == "only application/json without compression is read here"


@pytest.mark.parametrize("name", ["ropo.payment.v2", "ROPO.PAYMENT.V1", " ropo.payment.v1", "invoice.put.v1", "\udcff"])
def test_a_type_that_is_no_registration_is_refused_with_those_that_are(name: str) -> None:
    refused = refusal(a_message(type=name))
    assert refused.reason is DeadLetterReason.UNKNOWN_TYPE
    assert refused.text == f"the property type must be one of {', '.join(sorted(SOURCES))}"


def test_a_company_that_is_not_known_is_refused() -> None:
    refused = refusal(a_message(), policy=None)
    assert refused.reason is DeadLetterReason.UNKNOWN_COMPANY
    known = "the routing key names no company that is known here: see `payment-worker companies put`"
    assert refused.text == known


def test_the_company_is_all_after_the_routing_keys_first_word() -> None:
    companies = {
        key: Message(routing_key=key, body=b"").company for key in ("registration.acme", "registration.a.b", "x")
    }
    assert companies == {"registration.acme": "acme", "registration.a.b": "a.b", "x": ""}


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_refused() -> None:
    content = body(filler="")
    full = content.replace(b'"filler": ""', b'"filler": "' + b"x" * (BODY_BYTES_MAX - len(content)) + b'"')
    assert len(full) == BODY_BYTES_MAX
    assert read(a_message(full)).registration is not None
    refused = refusal(a_message(full + b" "))
    assert refused.reason is DeadLetterReason.TOO_LARGE
    assert refused.text == "the body has 65537 bytes, more than 65536"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"amount": NaN}', b"[" * 2000, b'{"a":1,"a":1}'], ids=str)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    assert refusal(a_message(content[:BODY_BYTES_MAX])).reason is DeadLetterReason.MALFORMED_JSON


# What is invalid.

BAD_BODIES: list[tuple[bytes, list[str]]] = [
    (b"[]", ["message"]),
    (b"null", ["message"]),
    (b"{}", ["amount", "paydate"]),
    (body(amount="NaN"), ["amount"]),
    (body(amount=True), ["amount"]),
    (body(amount="0.001"), ["amount"]),
    (body(amount=-1), ["amount"]),
    (body().replace(b'"710.00"', b"1e400"), ["amount"]),
    (body().replace(b'"710.00"', b"1e99999999999999999999"), ["amount"]),
    (body().replace(b'"710.00"', b"0e-99999999999999999999"), ["amount"]),
    (body(amount=99999999999999999999), ["amount"]),
    (body(paydate="2017-02-30"), ["paydate"]),
    (body(billcode="x\x00", description="x\ud800"), ["billcode", "description"]),
    (body(billcode=None, billnum=None), ["message"]),
    (body(type=["directpayment"], jobid=1.5), ["jobid", "type"]),
]


@pytest.mark.parametrize(("content", "wrong"), BAD_BODIES, ids=lambda value: str(value)[:40])
def test_an_invalid_registration_under_a_key_is_a_request_with_its_errors(content: bytes, wrong: list[str]) -> None:
    message = a_message(content, correlation_id="c", reply_to="r")
    request = read(message)
    assert [error["field"] for error in request.errors] == wrong
    assert (request.registration, request.fingerprint) == (None, None)
    assert (request.identity, request.body) == ((COMPANY, "key-1"), content)
    assert request.return_address == ReturnAddress("c", "r")


@pytest.mark.parametrize(("content", "wrong"), BAD_BODIES, ids=lambda value: str(value)[:40])
def test_an_invalid_registration_without_a_key_is_refused_with_its_errors(content: bytes, wrong: list[str]) -> None:
    refused = refusal(a_message(content, message_id=None))
    assert refused.reason is DeadLetterReason.INVALID
    assert [error["field"] for error in refused.errors] == wrong
    assert refused.text == "; ".join(f"{error['field']} {error['message']}" for error in refused.errors)


# Where the outcome goes.


def test_the_return_address_is_carried_on() -> None:
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=1,b=2"}
    message = a_message(correlation_id="c-1", reply_to="amq.gen-1", headers=trace)
    assert read(message).return_address == ReturnAddress("c-1", "amq.gen-1", *trace.values())


@pytest.mark.parametrize("value", [None, 5, b"00-4b", ["x"], "x" * 513, "a\nb", "a\x00", "\udcff"], ids=ascii)
def test_a_broken_trace_costs_the_trace_and_not_the_payment(value: object) -> None:
    message = a_message(headers={"traceparent": value, "tracestate": "x" * 512})
    assert read(message).return_address == ReturnAddress(tracestate="x" * 512)


@pytest.mark.parametrize("name", ["correlation_id", "reply_to"])
@pytest.mark.parametrize("value", ["a\x00", "\udcff"], ids=["NUL", "no UTF-8"])
def test_a_return_address_that_postgres_cannot_hold_is_answered_without_it(name: str, value: str) -> None:
    request = read(a_message(**{"correlation_id": "c", "reply_to": "r"} | {name: value}))
    assert [error["field"] for error in request.errors] == [name]
    assert (request.registration, request.return_address) == (None, ReturnAddress())


# The order of the checks: of two things that are wrong, the one that costs less to see is told.

Case = tuple[Message, Policy | None]
Flaw = tuple[DeadLetterReason, Callable[[Case], Case]]
FLAWS: list[Flaw] = [
    (DeadLetterReason.TOO_LARGE, lambda c: (replace(c[0], body=c[0].body + b" " * BODY_BYTES_MAX), c[1])),
    (DeadLetterReason.UNKNOWN_COMPANY, lambda c: (c[0], None)),
    (DeadLetterReason.UNSUPPORTED_CONTENT_TYPE, lambda c: (replace(c[0], content_type="text/plain"), c[1])),
    (DeadLetterReason.UNKNOWN_TYPE, lambda c: (replace(c[0], type="x"), c[1])),
    (DeadLetterReason.MALFORMED_JSON, lambda c: (replace(c[0], body=b"{" + c[0].body), c[1])),
    (DeadLetterReason.INVALID, lambda c: (replace(c[0], headers={KEY_HEADER: 5}), c[1])),
    (DeadLetterReason.MISSING_IDEMPOTENCY_KEY, lambda c: (replace(c[0], message_id=None), c[1])),
]


PAIRS = list(combinations(FLAWS, 2))


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{first[0]} before {second[0]}" for first, second in PAIRS])
def test_of_two_flaws_the_earlier_is_told(first: Flaw, second: Flaw) -> None:
    assert refusal(*second[1]((a_message(), POLICY))).reason is second[0]
    assert refusal(*first[1](second[1]((a_message(), POLICY)))).reason is first[0]


def test_an_invalid_body_without_a_key_is_told_as_invalid() -> None:
    assert refusal(a_message(b"{}", message_id=None)).reason is DeadLetterReason.INVALID


# Invoices come through the same door.


def invoice(content: object, **properties: Any) -> Message:
    return a_message(json.dumps(content).encode(), routing_key=f"invoice.{COMPANY}", **properties)


PUT = {"billcode": "1234567", "capital": "710.00", "version": 1}


@pytest.mark.parametrize("name", [None, "invoice.put.v1"])
def test_an_invoice_is_read(name: str | None) -> None:
    put = read_statement(invoice(PUT, type=name, message_id=None), POLICY)
    assert isinstance(put, InvoicePut)
    assert (put.billcode, put.capital, put.version, put.state) == ("1234567", Decimal("710.00"), 1, "OPEN")


def test_a_wallet_comes_the_same_way_under_a_type_of_its_own() -> None:
    put = read_statement(invoice({"number": "W1", "unconditional": 5, "version": 1}, type="wallet.put.v1"), POLICY)
    assert isinstance(put, WalletPut)
    assert put.names() == (("number", "W1"),)
    assert put.unconditional == 5


@pytest.mark.parametrize(
    ("message", "policy", "reason"),
    [
        (invoice(PUT), None, DeadLetterReason.UNKNOWN_COMPANY),
        (invoice(PUT, type="wallet.put.v1"), POLICY, DeadLetterReason.INVALID),
        (invoice(PUT, type="ropo.payment.v1"), POLICY, DeadLetterReason.UNKNOWN_TYPE),
        (invoice(PUT, content_type="text/csv"), POLICY, DeadLetterReason.UNSUPPORTED_CONTENT_TYPE),
        (replace(invoice(PUT), body=b"{"), POLICY, DeadLetterReason.MALFORMED_JSON),
        (replace(invoice(PUT), body=b" " * 65537), POLICY, DeadLetterReason.TOO_LARGE),
        (invoice(PUT | {"version": None}), POLICY, DeadLetterReason.INVALID),
    ],
    ids=[
        "unknown company",
        "invoice for a wallet",
        "registration",
        "content type",
        "no JSON",
        "too large",
        "no version",
    ],
)
def test_an_invoice_that_cannot_be_read_is_refused(
    message: Message, policy: Policy | None, reason: DeadLetterReason
) -> None:
    with pytest.raises(RefusedError) as refused:
        read_statement(message, policy)
    assert refused.value.reason is reason


def test_an_invalid_invoice_is_refused_field_by_field() -> None:
    with pytest.raises(RefusedError) as refused:
        read_statement(invoice({"billcode": 5, "capital": -1, "state": "open"}), POLICY)
    assert [error["field"] for error in refused.value.errors] == ["billcode", "capital", "state", "version"]


def test_a_registrations_type_is_told_to_be_no_invoice() -> None:
    with pytest.raises(RefusedError, match=r"one of invoice\.put\.v1, wallet\.put\.v1$"):
        read_statement(invoice(PUT, type="payment.register.v1"), POLICY)


# Who sent it.

SPEAKS = [None, "", "bank", "bank.eu", f"upstream.{COMPANY}", "upstream", "Upstream.other", "ops"]
DOES_NOT_SPEAK = [
    "upstream.other",
    f"upstream.{COMPANY}a",
    f"upstream.{COMPANY[:-1]}",
    f"upstream.{COMPANY}.eu",
    f"upstream.{COMPANY}\n",
    "upstream.",
    "upstream.\udcff",
    f"downstream.{COMPANY}",
    "downstream.other",
    "downstream.",
]


@pytest.mark.parametrize("user", SPEAKS)
def test_a_company_hears_its_own_upstream_and_users_who_are_nobodys(user: str | None) -> None:
    assert read(a_message(user_id=user)).errors == ()
    assert isinstance(read_statement(invoice(PUT, user_id=user), POLICY), InvoicePut)


@pytest.mark.parametrize("user", DOES_NOT_SPEAK)
def test_a_company_is_not_spoken_for_by_the_user_of_another(user: str) -> None:
    for refuse in (
        lambda: read(a_message(user_id=user)),
        lambda: read_statement(invoice(PUT, user_id=user), POLICY),
    ):
        with pytest.raises(RefusedError) as refused:
            refuse()
        assert refused.value.reason is DeadLetterReason.INVALID
        assert [error["field"] for error in refused.value.errors] == ["user_id"]


def test_a_message_of_anothers_user_is_refused_for_that_whatever_else_is_wrong_with_it() -> None:
    for message in (a_message(b"{", user_id="upstream.other"), a_message(message_id=None, user_id="upstream.other")):
        assert [error["field"] for error in refusal(message).errors] == ["user_id"]
    assert [error["field"] for error in refusal(a_message(user_id="upstream.other"), None).errors] == ["user_id"]
