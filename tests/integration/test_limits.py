"""Each limit, tried at its value and one above, through a running worker: an answer or a dead letter, never poison."""

import itertools
import json
import random
import struct
from typing import Any, cast

import aiormq
import asyncpg
import pytest
from pamqp.commands import Basic
from pamqp.encode import encode_table_value

from schemas import catalog
from schemas.limits import (
    AMOUNT_DIGITS_MAX,
    BODY_BYTES_MAX,
    DETAILS_MAX,
    IDEMPOTENCY_KEY_CHARS_MAX,
    IDENTIFIER_CHARS_MAX,
    INTEGER_ID_MAX,
    LINES_MAX,
    NESTING_LEVELS_MAX,
    TEXT_CHARS_MAX,
    TRACE_CHARS_MAX,
)
from schemas.registration import IDENTIFIER_KINDS
from tests.site import Site, eventually
from worker.limits import HEADER_BYTES_MAX, HEADER_NAME_BYTES_MAX

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHORT_BYTES_MAX = 255
"""A short string of AMQP, such as a correlation_id: nothing longer can be sent."""
_numbers = itertools.count(1)
_random = random.Random(4)  # noqa: S311 - no secret


def long_text(chars: int) -> str:
    """Return text of four bytes a character that no index can compress."""
    return "".join(chr(_random.randrange(0x10000, 0x30000)) for _ in range(chars))


def payment(**changes: object) -> dict[str, object]:
    return {"amount": "1.00", "paydate": "2017-10-10", "billcode": "none"} | changes


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def body_of(length: int) -> bytes:
    start, end = b'{"amount": 1, "paydate": "2017-10-10", "billcode": "none", "filler": "', b'"}'
    return start + b"x" * (length - len(start) - len(end)) + end


async def company(site: Site, **rules: Any) -> str:
    """Return a company of its own, with the longest name that there is."""
    name = f"limits-{next(_numbers)}-".ljust(63, "x")
    await site.policy(name, **rules)
    return name


class Unencoded(Basic.Properties):
    """Properties with headers of any name: the driver would cut a long one."""

    def marshal(self) -> bytes:
        fields = b"".join(_short(name) + encode_table_value(value) for name, value in (self.headers or {}).items())
        return struct.pack(">HI", 1 << 13 | 1 << 7, len(fields)) + fields + _short(self.message_id or "")


def _short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


async def publish_invalid(site: Site, name: str, headers: dict[str, Any]) -> None:
    channel = cast("aiormq.Channel", await site.channel.get_underlay_channel())
    body, properties = json.dumps(payment(amount="x")).encode(), Unencoded(message_id=name, headers=headers)
    await channel.basic_publish(body, exchange="payments", routing_key=f"registration.{name}", properties=properties)


async def dead_letter(site: Site, name: str) -> asyncpg.Record:
    """Return the company's dead letter, once it is filed."""
    found: list[asyncpg.Record] = []

    async def is_filed() -> bool:
        found[:] = await site.database.fetch("SELECT * FROM dead_letters WHERE company = $1", name)
        return bool(found)

    await eventually(is_filed)
    return found[0]


REGISTER = "payment.register.v1"


def register(**changes: object) -> dict[str, object]:
    line = {"billcode": "none", "amount": "1.00"}
    return {"currency": "EUR", "paydate": "2017-10-10", "lines": [line]} | changes


def lines(count: int) -> list[dict[str, str]]:
    return [{"billcode": f"none {number}", "amount": "0.01"} for number in range(count)]


def texts(count: int) -> dict[str, str]:
    return {str(number): "x" for number in range(count)}


BODIES: dict[str, tuple[Any, Any, str]] = {
    "bytes of a body": (body_of(BODY_BYTES_MAX), body_of(BODY_BYTES_MAX + 1), "too_large"),
    "levels": (payment(x=nested(NESTING_LEVELS_MAX - 1)), payment(x=nested(NESTING_LEVELS_MAX)), "malformed_json"),
    "digits of an amount": (
        payment(amount="9" * (AMOUNT_DIGITS_MAX - 2) + ".99"),
        payment(amount="9" * (AMOUNT_DIGITS_MAX - 1) + ".99"),
        "invalid",
    ),
    "an id": (payment(jobid=INTEGER_ID_MAX), payment(jobid=INTEGER_ID_MAX + 1), "invalid"),
    "characters of a name": (
        payment(billcode=long_text(IDENTIFIER_CHARS_MAX)),
        payment(billcode=long_text(IDENTIFIER_CHARS_MAX + 1)),
        "invalid",
    ),
    "characters of a text": (
        payment(description=long_text(TEXT_CHARS_MAX)),
        payment(description=long_text(TEXT_CHARS_MAX + 1)),
        "invalid",
    ),
    "lines": (register(lines=lines(LINES_MAX)), register(lines=lines(LINES_MAX + 1)), "invalid"),
    "details": (register(details=texts(DETAILS_MAX)), register(details=texts(DETAILS_MAX + 1)), "invalid"),
}


@pytest.mark.parametrize("limit", BODIES)
async def test_a_body_at_its_limit_is_answered_and_one_above_is_refused(shared_site: Site, limit: str) -> None:
    at, above, reason = BODIES[limit]
    kind = REGISTER if isinstance(at, dict) and "lines" in at else "ropo.payment.v1"
    name = await company(shared_site)
    await shared_site.publish("registration", at, key=f"at {limit}", company=name, type=kind)
    assert (await shared_site.event_of(f"at {limit}")).body["reason"] == "invoice_not_found"
    await shared_site.publish("registration", above, key=f"above {limit}", company=name, type=kind)
    assert (await dead_letter(shared_site, name))["reason"] == reason


async def test_the_longest_key_of_the_longest_company_is_answered_under_it(shared_site: Site) -> None:
    name, key = await company(shared_site), long_text(IDEMPOTENCY_KEY_CHARS_MAX)
    await shared_site.publish("registration", payment(), company=name, headers={catalog.KEY_HEADER: key})
    event = await shared_site.event_of(key)
    assert event.message.headers[catalog.KEY_HEADER] == key
    await shared_site.publish("registration", payment(), company=name, headers={catalog.KEY_HEADER: key + "x"})
    assert (await dead_letter(shared_site, name))["reason"] == "invalid"


async def test_an_invoice_whose_names_are_all_as_long_as_can_be_is_awaited_and_paid(shared_site: Site) -> None:
    """Each of them is a key of an index, where Postgres holds 2,704 bytes at most."""
    name = await company(shared_site, await_invoice_s=3_600)
    names = {kind: long_text(IDENTIFIER_CHARS_MAX) for kind in IDENTIFIER_KINDS if kind != "jobid"}
    said = register(lines=[names | {"amount": "1.00"}])
    await shared_site.publish("registration", said, key="awaits", company=name, type=REGISTER)
    assert (await shared_site.event_of("awaits")).body["status"] == "UNDONE"
    await shared_site.put(name, **names, capital="1.00")
    assert (await shared_site.event_of("awaits")).body["status"] == "OHISPAY"


async def test_what_is_carried_back_is_carried_at_its_limit_and_a_longer_trace_is_left_out(shared_site: Site) -> None:
    name, trace = await company(shared_site), "t" * TRACE_CHARS_MAX
    for key, said in (("carried", trace), ("left out", trace + "t")):
        await shared_site.publish(
            "registration",
            payment(),
            key=key,
            company=name,
            correlation_id="c" * SHORT_BYTES_MAX,
            reply_to="r" * SHORT_BYTES_MAX,
            headers={"traceparent": said, "tracestate": said},
        )
    carried, left_out = await shared_site.event_of("carried"), await shared_site.event_of("left out")
    assert carried.message.correlation_id == left_out.message.correlation_id == "c" * SHORT_BYTES_MAX
    assert (carried.message.headers["traceparent"], carried.message.headers["tracestate"]) == (trace, trace)
    assert "traceparent" not in left_out.message.headers
    assert left_out.body["reason"] == "invoice_not_found"


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({f"h{number}": number for number in range(2_000)}, "amount"),
        ({"h": "x" * (HEADER_BYTES_MAX - 1_000)}, "amount"),
        ({"h": "x" * HEADER_BYTES_MAX}, "its properties"),
        ({"n" * HEADER_NAME_BYTES_MAX: 1}, "amount"),
        ({"n" * (HEADER_NAME_BYTES_MAX + 1): 1}, "its properties"),
    ],
    ids=["many", "long", "too long", "a long name", "a name too long"],
)
async def test_headers_of_a_dead_letter_are_kept_however_many_and_long(
    shared_site: Site, headers: dict[str, Any], error: str
) -> None:
    """Those that can be copied come by the worker, with what is wrong; the others by the broker itself."""
    name = await company(shared_site)
    await publish_invalid(shared_site, name, headers)
    letter = await dead_letter(shared_site, name)
    assert letter["error"].startswith(error)
    assert await shared_site.database.fetchval(
        "SELECT count(*) FROM json_object_keys($1::json -> 'headers')", letter["properties"]
    ) == len(headers)
