"""Rubbish gets a clear answer: a dead letter, no redelivery loop, and no harm to its neighbours in the batch."""

import json
import struct
from typing import Any

import pytest

from tests.fuzz.wire import short, table
from tests.integration.raw_publish import WHOLE, publish_raw
from tests.places import Vhost
from tests.site import ROPO, Site, eventually
from worker.books.dead_letters import Deed
from worker.books.session import Session
from worker.broker.connection import connect
from worker.broker.publisher import Publisher
from worker.cli.replay import Replayed, replay_letters


def ropo(**changes: object) -> bytes:
    return json.dumps(ROPO | changes).encode()


BODIES = {
    "empty": (b"", "malformed_json"),
    "not JSON": (b"{", "malformed_json"),
    "not UTF-8": (b'{"billcode": "\xff"}', "malformed_json"),
    "nested a thousand deep": (b'{"x":' * 1000 + b"1" + b"}" * 1000, "malformed_json"),
    "NaN, which is not JSON": (ropo(amount=float("nan")), "malformed_json"),
    "an amount given twice": (b'{"amount":1,"amount":2,"billcode":"1234567","paydate":"2017-10-10"}', "malformed_json"),
    "too large": (ropo(description="x" * 70_000), "too_large"),
    "a list": (b"[]", "invalid"),
    "null": (b"null", "invalid"),
    "no fields": (b"{}", "invalid"),
    "NaN as text": (ropo(amount="NaN"), "invalid"),
    "1e400": (WHOLE.replace(b'"710.00"', b"1e400"), "invalid"),
    "true": (ropo(amount=True), "invalid"),
    "a tenth of a cent": (ropo(amount="0.001"), "invalid"),
    "twenty digits": (WHOLE.replace(b'"710.00"', b"99999999999999999999"), "invalid"),
    "five thousand digits": (WHOLE.replace(b'"710.00"', b"9" * 5000), "invalid"),
    "negative": (ropo(amount=-1), "invalid"),
    "a day that does not exist": (ropo(paydate="2017-02-29"), "invalid"),
    "a date that is a number": (ropo(paydate=20171010), "invalid"),
    "NUL": (ropo(billcode="a\0b"), "invalid"),
    "a lone surrogate": (ropo(billcode="a\ud800b"), "invalid"),
    "an object for a name": (ropo(billcode={"a": 1}), "invalid"),
    "a jobid beyond 64 bits": (ropo(jobid=2**63), "invalid"),
    "a fraction for a jobid": (ropo(jobid=1.5), "invalid"),
    "a name too long": (ropo(billcode="x" * 256), "invalid"),
}


async def test_rubbish_becomes_dead_letters_and_its_neighbours_are_booked(site: Site) -> None:
    """All of it is queued before the worker starts, so that good and bad share a batch."""
    await site.database.execute(
        "INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)"
        " VALUES ('acme', '1234567', 'EUR', 'OPEN', 1, 71000, 0, 0)"
    )
    for name, (body, _) in BODIES.items():
        await site.pay(body, key=name)
        await site.pay({"amount": 1}, key=f"after {name}")

    async with site.worker():
        invalid = [name for name, (_, reason) in BODIES.items() if reason == "invalid"]
        events = await site.events(len(BODIES) + len(invalid))
        letters = await site.dead_letters(len(BODIES))

    found = {event.body["idempotency_key"]: (event.body["statusid"], event.body["reason"]) for event in events}
    assert {found[f"after {name}"] for name in BODIES} == {(6, "booked")}
    assert {found[name] for name in invalid} == {(1, "invalid")}
    assert {letter["idempotency_key"]: letter["reason"] for letter in letters} == {
        name: reason for name, (_, reason) in BODIES.items()
    }
    assert {letter["idempotency_key"]: letter["body"] for letter in letters} == {
        name: body for name, (body, _) in BODIES.items()
    }
    assert await site.queue_is_empty("payments.registrations")


PROPERTIES: dict[str, tuple[dict[str, Any], str]] = {
    "an empty key": ({"headers": {"idempotency-key": ""}}, "invalid"),
    "a key too long": ({"headers": {"idempotency-key": "x" * 256}}, "invalid"),
    "a number for a key": ({"headers": {"idempotency-key": 7}}, "invalid"),
    "a table for a key": ({"headers": {"idempotency-key": {"a": [1, None]}}}, "invalid"),
    "NUL in a key": ({"headers": {"idempotency-key": "a\0"}}, "invalid"),
    "bytes for a key": ({"headers": {"idempotency-key": bytearray(b"\xff")}}, "invalid"),
    "NUL in the correlation id": ({"correlation_id": "a\0"}, "invalid"),
    "another content type": ({"content_type": "text/xml"}, "unsupported_content_type"),
    "compressed": ({"content_encoding": "gzip"}, "unsupported_content_type"),
    "an unknown type": ({"type": "ropo.payment.v99"}, "unknown_type"),
    "a type of another queue": ({"type": "invoice.put.v1"}, "unknown_type"),
    "an unknown company": ({"company": "nobody"}, "unknown_company"),
    "a company that is no name": ({"company": "NOBODY!\0"}, "unknown_company"),
}


@pytest.mark.parametrize("name", PROPERTIES)
async def test_properties_that_make_no_sense_become_a_dead_letter(site: Site, name: str) -> None:
    properties, reason = PROPERTIES[name]
    async with site.worker():
        await site.pay(**{"key": "k1"} | properties)
        (letter,) = await site.dead_letters(1)
        await site.put()
        await site.pay(key="good", content_type="application/json; charset=utf-8", headers={"odd": [1, {"a": None}]})
        good = await site.event_of("good")

    assert letter["reason"] == reason
    assert letter["body"] == WHOLE
    assert good.body["statusid"] == 6


MESSAGE_ID, TYPE, TIMESTAMP, HEADERS = 1 << 7, 1 << 5, 1 << 6, 1 << 13
RAW = {
    "no properties, and so no key": struct.pack(">H", 0),
    "a type that is not UTF-8": struct.pack(">H", TYPE) + short(b"\xff\xfe"),
    "a message id that is not UTF-8": struct.pack(">H", MESSAGE_ID) + short(b"\xff"),
    "a timestamp beyond any calendar": struct.pack(">HQ", TIMESTAMP, 2**63 - 1),
    "a timestamp in the headers beyond any calendar": struct.pack(">H", HEADERS)
    + table(short(b"t") + b"T" + struct.pack(">Q", 2**63 - 1)),
    "a header name that is not UTF-8": struct.pack(">H", HEADERS) + table(short(b"\xff") + b"t\x01"),
    "headers nested five hundred deep": b"",
}
nested = table(short(b"x") + b"t\x01")
for _ in range(500):
    nested = table(short(b"x") + b"F" + nested)
RAW["headers nested five hundred deep"] = struct.pack(">H", HEADERS) + nested


@pytest.mark.parametrize("name", RAW)
async def test_properties_that_the_driver_cannot_decode_do_not_stop_the_worker(site: Site, name: str) -> None:
    """Such a message used to end the connection of each worker that it was delivered to, for ever."""
    async with site.worker():
        await site.put()
        await publish_raw(site, b"registration.acme", RAW[name])
        (letter,) = await site.dead_letters(1)
        await site.pay(key="good")
        good = await site.event_of("good")

    assert letter["reason"] in {"invalid", "unknown_type", "missing_idempotency_key"}
    assert letter["body"] == WHOLE
    assert good.body["statusid"] == 6
    assert await site.queue_is_empty("payments.registrations")
    assert await site.queue_is_empty("payments.dead-letters")


@pytest.mark.parametrize("routing_key", [b"registration.\xff", b"invoice.caf\xe9", b"registration.a\x00b"])
async def test_a_routing_key_that_is_no_text_becomes_a_dead_letter(site: Site, routing_key: bytes) -> None:
    """It cannot be published again by any client, so the broker itself has to move it."""
    async with site.worker():
        await publish_raw(site, routing_key)
        (letter,) = await site.dead_letters(1)
        await site.pay(key="good")
        good = await site.event_of("good")

    assert letter["body"] == WHOLE
    assert letter["company"] is None
    assert good.body["statusid"] == 10


async def test_a_payment_without_a_key_gets_none_by_being_dead_lettered_and_replayed(site: Site, vhost: Vhost) -> None:
    """The driver gives every message an id. As a key it would let each copy of one payment be booked."""
    async with site.worker():
        await site.put()
        await publish_raw(site, b"registration.acme")
        await publish_raw(site, b"registration.acme")
        (letter,) = await site.dead_letters(1)
        assert (letter["reason"], letter["idempotency_key"]) == ("missing_idempotency_key", None)
        assert "message_id" not in json.loads(letter["properties"])

        connection = await connect(vhost.amqp_url, "replay")
        async with Session(site.database_url, "replay") as session:
            deed = Deed("replayed", "test", None)
            await replay_letters(session, Publisher(connection), [1], {"open"}, deed, Replayed(), lambda *_: None)

        async def is_dead_again() -> bool:
            sql = "SELECT state = 'open' AND count >= 3 FROM dead_letters WHERE id = 1"
            return bool(await site.database.fetchval(sql))

        await eventually(is_dead_again)
        await connection.close()

    (letter,) = await site.dead_letters(1)
    assert json.loads(letter["properties"]).get("headers", {}) == {}
    assert await site.database.fetchval("SELECT count(*) FROM payments") == 0


async def test_headers_too_large_to_copy_are_dead_lettered_by_the_broker(site: Site) -> None:
    async with site.worker():
        await site.pay("x", key="k1", headers={"long": "x" * 110_000})
        (letter,) = await site.dead_letters(1)

    assert letter["reason"] == "invalid"
    assert json.loads(letter["properties"])["headers"]["long"] == "x" * 110_000


async def test_an_invoice_that_makes_no_sense_becomes_a_dead_letter_and_its_neighbours_are_stated(site: Site) -> None:
    def put(**fields: object) -> dict[str, object]:
        return {"billcode": "b", "capital": 1, "version": 1} | fields

    bad = [
        put(billcode=None),
        put(capital="0.001"),
        put(version=None),
        put(state="OPENED"),
        put(currency="XXX"),
        put(jobid=True),
        put(account="a"),
        put(due_date="2017-02-30"),
    ]
    for number, body in enumerate(bad):
        await site.publish("invoice", body, key=str(number), type="invoice.put.v1")
        await site.publish("invoice", put(billcode=f"good {number}"), type="invoice.put.v1")
    async with site.worker():
        letters = await site.dead_letters(len(bad))

        async def are_stated() -> bool:
            return bool(await site.database.fetchval("SELECT count(*) = $1 FROM invoices", len(bad)))

        await eventually(are_stated)

    assert {letter["reason"] for letter in letters} == {"invalid"}
    assert all(json.loads(letter["errors"]) for letter in letters)


async def test_what_the_broker_gave_up_is_filed_with_its_cause_and_all_that_it_came_with(site: Site) -> None:
    """It is no fault of the message: its time to live passed while no worker ran."""
    await site.pay(key="late", expiration=0.001)

    async def is_given_up() -> bool:
        return await site.holds("payments.dead-letters", 1)

    await eventually(is_given_up)
    async with site.worker():
        (letter,) = await site.dead_letters(1)
    assert (letter["reason"], letter["body"]) == ("delivery_limit", WHOLE)
    assert "time to live" in letter["error"]
    assert json.loads(letter["properties"])["expiration"] == "1"


async def test_what_found_a_queue_full_by_a_limit_of_somebody_s_is_no_fault_of_the_message_either(site: Site) -> None:
    limits: dict[str, Any] = {
        "x-max-length": 1,
        "x-overflow": "drop-head",
        "x-dead-letter-exchange": "payments.dead-letter",
    }
    queue = await site.channel.declare_queue(exclusive=True, arguments=limits)
    await queue.bind("payments", "registration.*")
    for key in ("first", "second"):
        await site.pay(key=key)
    async with site.worker():
        (letter,) = await site.dead_letters(1)
    assert (letter["reason"], letter["idempotency_key"]) == ("delivery_limit", "first")
    assert "its queue was full" in letter["error"]
