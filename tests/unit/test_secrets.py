"""A source's secret fields leave the body before anything keeps it; all else of it stays byte for byte."""

from dataclasses import replace

import pytest

from schemas.sources import SOURCES, without_secrets
from schemas.sources.ropo import ROPO

HIDING = replace(ROPO, secret_fields=frozenset({"token"}))


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"token":"abc","a":1.50}', b'{"token":"","a":1.50}'),
        (b'{ "a" : 1 , "token" : "abc" }\n', b'{ "a" : 1 , "token" : "" }\n'),
        (b'{"token":"","a":1}', b'{"token":"","a":1}'),
        (b'{"token":12345,"a":1}', b'{"token":"","a":1}'),
        (b'{"token":-1.5e3}', b'{"token":""}'),
        (b'{"token":true,"b":[null]}', b'{"token":"","b":[null]}'),
        (b'{"token":["abc",{"x":"}]"}],"a":1}', b'{"token":"","a":1}'),
        (b'{"token":{"token":"abc"},"a":1}', b'{"token":"","a":1}'),
        (b'{"a":{"token":"abc"},"b":[{"token":"abc"}]}', b'{"a":{"token":""},"b":[{"token":""}]}'),
        (b'{"token":"abc","token":"abc"}', b'{"token":"","token":""}'),
        (b'{"token":"abc\\"abc,\\\\","a":1}', b'{"token":"","a":1}'),
        (b'{"t\\u006fken":"abc","a":"\\u00e4"}', b'{"t\\u006fken":"","a":"\\u00e4"}'),
        (b'{"\\u0074\\u006F\\u006B\\u0065\\u006E":"abc"}', b'{"\\u0074\\u006F\\u006B\\u0065\\u006E":""}'),
        (b'{"token":["abc"],"a":"\\ud800","b":1e400}', b'{"token":"","a":"\\ud800","b":1e400}'),
    ],
)
def test_the_value_of_a_secret_field_is_blanked(body: bytes, kept: bytes) -> None:
    assert without_secrets(body, HIDING) == kept


@pytest.mark.parametrize(
    "body",
    [
        b'{"tokens":"abc","atoken":"abc","Token":"abc"}',
        b'{"a":"token","b":"token:","c":["token"]}',
        b'{"a":"\\"token\\":\\"abc\\""}',
        b'{"a":"\\\\\\"token\\":1"}',
        b"",
        b"token",
        b"\xff\xfe{",
    ],
)
def test_what_is_no_secret_field_stays_byte_for_byte(body: bytes) -> None:
    assert without_secrets(body, HIDING) == body


@pytest.mark.parametrize(
    "body",
    [
        b'{"token":"abc',
        b'{"token":"abc\\',
        b'{"token":"\\\nabc","a":1}',
        b'{"token":"abc\nabc","a":1}',
        b'{"token":"abc\n',
        b'{"token":abc}',
        b'{"token":abc',
        b'{"token":["abc"',
        b'{"token":{"x":["abc"}',
        b'{"token":\xffabc}',
        b'[{"token":"abc"}',
        b'{"a":1}{"token":"abc"}',
        b'{"a":"b,"token":"abc"}',
    ],
)
def test_in_a_body_that_is_no_json_a_secret_is_blanked_too(body: bytes) -> None:
    found = without_secrets(body, HIDING)
    assert b"abc" not in found
    assert found.startswith(body[: body.index(b'"token":')] + b'"token":""')


@pytest.mark.parametrize("rest", [b"}", b",}", b"]"])
def test_a_secret_field_without_a_value_swallows_nothing(rest: bytes) -> None:
    assert without_secrets(b'{"token":' + rest, HIDING) == b'{"token":""' + rest


def test_every_secret_field_is_blanked() -> None:
    hiding = replace(ROPO, secret_fields=frozenset({"token", "pin.code"}))
    body = b'{"token":"abc","pin.code":"abc","pinxcode":1}'
    assert without_secrets(body, hiding) == b'{"token":"","pin.code":"","pinxcode":1}'


def test_a_source_without_secrets_keeps_its_body() -> None:
    body = b'{"token":"abc"}'
    assert without_secrets(body, ROPO) is body


def test_a_login_token_is_the_one_secret_of_a_source_system() -> None:
    secrets = {name: source.secret_fields for name, source in SOURCES.items() if source.secret_fields}
    assert secrets == {"crm-com.pay-invoice.v1": {"token"}}


def test_a_body_far_longer_than_any_message_is_blanked_too() -> None:
    assert without_secrets(b'{"token":"' + b"a" * 8_000_000, HIDING) == b'{"token":""'
