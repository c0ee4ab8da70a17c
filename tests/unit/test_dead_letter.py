from typing import Any

import pytest
from msgspec.structs import replace

from tests.builders import EXAMPLE, body
from worker.domain.dead_letter import DeadLetter
from worker.domain.errors import DeadLetterReason

PROPERTIES: dict[str, Any] = {
    "message_type": "ropo.payment.v1",
    "message_id": "key-1",
    "headers": {"idempotency-key": "k"},
}
LETTER = DeadLetter(
    reason=DeadLetterReason.INVALID,
    text="amount must be a finite number",
    routing_key="registration.acme",
    body=body(),
    properties=PROPERTIES,
    arrival="1",
)


def with_properties(**changes: Any) -> DeadLetter:
    return replace(LETTER, properties=PROPERTIES | changes)


def test_a_letter_that_comes_again_is_the_same_whatever_else_is_told_of_it() -> None:
    again = replace(LETTER, reason=DeadLetterReason.POISON, text="other", arrival="2", errors=())
    assert again.identity == LETTER.identity
    assert with_properties(timestamp=5, correlation_id="c", priority=1).identity == LETTER.identity
    assert len(LETTER.identity) == 32


@pytest.mark.parametrize(
    "other",
    [
        replace(LETTER, routing_key="registration.other"),
        replace(LETTER, body=body(amount="711.00")),
        replace(LETTER, body=body() + b" "),
        with_properties(message_type="invoice.put.v1"),
        with_properties(message_type=None),
        with_properties(headers={"idempotency-key": "k2"}),
        with_properties(headers={}),
        with_properties(headers={}, message_id=None),
    ],
    ids=["company", "body", "a space", "type", "no type", "key", "message_id", "no key"],
)
def test_another_message_is_another_letter(other: DeadLetter) -> None:
    assert other.identity != LETTER.identity


def test_parts_do_not_run_into_one_another() -> None:
    one = with_properties(message_type="ab", headers={"idempotency-key": "c"})
    two = with_properties(message_type="a", headers={"idempotency-key": "bc"})
    assert one.identity != two.identity


def test_a_letter_whose_routing_key_is_no_utf_8_has_an_identity_too() -> None:
    broken = replace(LETTER, routing_key="registration.\udcff")
    assert broken.identity != LETTER.identity
    assert broken.company is None


@pytest.mark.parametrize(
    ("routing_key", "company"),
    [("registration.acme", "acme"), ("invoice.a-1", "a-1"), ("registration.A", None), ("x", None), ("a.b.c", None)],
)
def test_the_company_is_told_where_the_routing_key_names_one(routing_key: str, company: str | None) -> None:
    assert replace(LETTER, routing_key=routing_key).company == company


def test_the_key_is_the_headers_before_the_message_id() -> None:
    assert LETTER.idempotency_key == "k"
    assert with_properties(headers={"other": "x"}).idempotency_key == "key-1"
    assert with_properties(headers=None).idempotency_key == "key-1"


@pytest.mark.parametrize("odd", [5, None, True, ["k"], {"$bytes": "aw=="}, "k\x00", "k\udcff"], ids=ascii)
def test_what_is_no_text_is_told_as_no_key_and_no_type(odd: object) -> None:
    letter = with_properties(headers={"idempotency-key": odd}, message_id=odd, message_type=odd)
    assert (letter.idempotency_key, letter.type) == (None, None)
    assert len(letter.identity) == 32


def test_headers_that_are_no_table_hold_no_key() -> None:
    assert with_properties(headers=["idempotency-key"]).idempotency_key == "key-1"


def test_the_type_is_told() -> None:
    assert LETTER.type == "ropo.payment.v1"
    assert replace(LETTER, properties={}).type is None


def test_identities_stand_in_the_books_and_are_those_of_every_release() -> None:
    letter = replace(LETTER, body=EXAMPLE["description"].encode())
    assert letter.identity.hex() == "11e6af5c7719b46025d2e3256861df3be7e0b27d80372ef91fff9f071b7f1dfe"


def test_the_reasons_are_words_that_ops_relies_on() -> None:
    assert {reason.value for reason in DeadLetterReason} == {
        "malformed_json",
        "unsupported_content_type",
        "too_large",
        "unknown_type",
        "unknown_company",
        "invalid",
        "missing_idempotency_key",
        "poison",
        "delivery_limit",
    }


COLLECTED = {"message_type": "invisible-collector.payment.v1", "message_id": "key-1", "headers": {}}


@pytest.mark.parametrize(
    ("content", "headers", "key"),
    [
        (b'{"number": "RG 1", "amount": "?"}', {}, "RG 1"),
        (b'{"number": "RG 1"}', {"idempotency-key": "k"}, "k"),
        (b'{"number": ""}', {}, "key-1"),
        (b'{"number": 5}', {}, "key-1"),
        (b'["number"]', {}, "key-1"),
        (b'{"number": "RG', {}, "key-1"),
    ],
)
def test_the_key_of_the_body_comes_after_the_header_and_before_the_message_id(
    content: bytes, headers: dict[str, str], key: str
) -> None:
    assert replace(LETTER, body=content, properties=COLLECTED | {"headers": headers}).idempotency_key == key


def test_a_letter_is_kept_byte_for_byte_but_for_what_its_source_says_is_secret() -> None:
    content = b'{"token" : "s3cr3t",  "notes": "n"'
    kept = replace(LETTER, body=content, properties=PROPERTIES | {"message_type": "crm-com.pay-invoice.v1"})
    assert kept.without_secrets().body == b'{"token" : "",  "notes": "n"'
    assert replace(LETTER, body=content).without_secrets().body == content


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    headers: dict[str, Any] = {"idempotency-key": "k", "origin": {"$bytes": "/w=="}}
    letter = with_properties(headers=headers, content_type="text/xml", content_encoding="gzip")
    assert letter.edited() == letter
    assert letter.edited(body=b"{}") == replace(letter, body=b"{}")
    typed = letter.edited(message_type="ivvy.add-payment.v1")
    assert typed.properties == dict(letter.properties) | {"message_type": "ivvy.add-payment.v1"}
    keyed = letter.edited(idempotency_key="new")
    assert keyed.properties == dict(letter.properties) | {"headers": headers | {"idempotency-key": "new"}}
    assert (keyed.idempotency_key, letter.idempotency_key) == ("new", "k")
    as_json = dict(letter.edited(is_json=True).properties)
    assert as_json | {"content_type": "text/xml", "content_encoding": "gzip"} == letter.properties
    assert (as_json["content_type"], "content_encoding" in as_json) == ("application/json", False)


@pytest.mark.parametrize("headers", [None, ["idempotency-key"]])
def test_an_edit_gives_a_key_to_a_letter_without_headers(headers: object) -> None:
    assert with_properties(headers=headers).edited(idempotency_key="new").idempotency_key == "new"


def test_an_edited_letter_keeps_no_secret_of_what_it_is_now() -> None:
    content = b'{"token" : "s3cr3t",  "notes": "n"'
    assert LETTER.edited(body=content).body == content
    assert b"s3cr3t" not in LETTER.edited(body=content, message_type="crm-com.pay-invoice.v1").body
