"""`payment-worker outcomes` and `payments show`: what came of the payments."""

import asyncio
import json
from datetime import timedelta

import aio_pika
import pytest

from tests.integration.command_line import CommandLine
from tests.site import Site
from worker.broker.topology import quorum
from worker.limits import BROKER_DELIVERY_LIMIT


@pytest.fixture
def line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


async def follow(line: CommandLine, *arguments: str) -> asyncio.subprocess.Process:
    """Begin to follow; it is bound when this returns."""
    following = await line.start("outcomes", "follow", *arguments)
    assert following.stderr is not None
    assert b"following" in await following.stderr.readline()
    return following


async def test_outcomes_are_followed_a_line_each_until_the_count(site: Site, line: CommandLine) -> None:
    following = await follow(line, "--company", "acme", "--count", "2", "--timeout", "30", "--json")
    async with site.worker():
        await site.put()
        await site.pay(key="foreign", company="other")
        for _ in range(3):
            await site.pay({"amount": "1.10"}, key="k1")
        events = await site.events(4)
    result = await line.end(following)
    assert result.status == 0, result.stderr
    told = [json.loads(text) for text in result.stdout.splitlines()]
    first = next(event.body for event in events if event.body["company"] == "acme")
    assert told == [first | {"replayed": False}, first | {"replayed": True}]
    assert '"focusedtocapital":1.10' in result.stdout


async def test_fewer_outcomes_than_asked_for_by_the_timeout_is_a_failure(line: CommandLine) -> None:
    assert "only 0 of 1 outcomes" in await line.fail("outcomes", "follow", "--count", "1", "--timeout", "0.2")
    assert (await line.succeed("outcomes", "follow", "--timeout", "0.2", "--json")).stdout == ""


async def test_a_durable_queue_keeps_what_comes_while_nobody_follows(site: Site, line: CommandLine) -> None:
    await line.succeed("outcomes", "follow", "--queue", "downstream", "--timeout", "0.1")
    async with site.worker():
        await site.put()
        await site.pay({"amount": 1}, key="k1")
        await site.pay({"amount": 2}, key="k2")
        await site.events(2)
    arguments = ("outcomes", "follow", "--queue", "downstream", "--count", "1", "--timeout", "30", "--json")
    keys = [(await line.succeed(*arguments)).json["idempotency_key"] for _ in range(2)]
    assert keys == ["k1", "k2"]
    assert await site.queue_is_empty("downstream")


@pytest.mark.parametrize("count", [1, 3])
async def test_following_takes_no_more_than_it_prints_and_a_message_is_not_dropped_for_having_been_looked_at(
    site: Site, line: CommandLine, count: int
) -> None:
    """What goes back unread counts as one delivery more, of which RabbitMQ 4 allows 20 where a queue says nothing."""
    await line.succeed("outcomes", "follow", "--queue", "downstream", "--timeout", "0.1")
    exchange = await site.channel.get_exchange("payments.outcomes", ensure=False)
    following = await follow(line, "--queue", "downstream", "--count", str(count), "--timeout", "30", "--json")
    assert following.stdout is not None
    for number in range(count):  # each comes by itself
        await exchange.publish(aio_pika.Message(b'{"number": %d}' % number), "outcome.acme.fail")
        if number < count - 1:
            assert json.loads(await following.stdout.readline())["number"] == number
    await exchange.publish(aio_pika.Message(b"{}"), "outcome.acme.fail")
    assert (await line.end(following)).status == 0
    queue = await site.channel.declare_queue("downstream", durable=True, arguments=quorum())
    kept = await queue.get()
    assert (kept.body, kept.redelivered) == (b"{}", False)
    assert await queue.get(fail=False) is None
    assert quorum()["x-delivery-limit"] == BROKER_DELIVERY_LIMIT


async def test_what_is_no_outcome_is_passed_over_and_what_is_hostile_is_escaped(site: Site, line: CommandLine) -> None:
    following = await follow(line, "--count", "1", "--timeout", "30")
    exchange = await site.channel.get_exchange("payments.outcomes", ensure=False)
    for body in (b"\xff", b"[1]", b'{"reason": "\\ud800"}', b'{"idempotency_key": "\\u001b[2J[red]\\u202e"}'):
        await exchange.publish(aio_pika.Message(body), "outcome.acme.fail")
    result = await line.end(following)
    assert result.status == 0
    assert result.stderr.count("passed over") == 3
    assert r"\u001b[2J[red]\u202e" in result.stdout
    assert "\x1b" not in result.stdout


async def test_a_period_is_resent_byte_for_byte(site: Site, line: CommandLine) -> None:
    async with site.worker():
        await site.put()
        for number in range(5):
            correlated = f"c{number}" if number % 2 else None
            await site.pay({"amount": number + 1}, key=f"k{number}", correlation_id=correlated)
        await site.pay({"amount": 1}, key="foreign", company="other")
        sent = [event for event in await site.events(6) if event.body["company"] == "acme"]
    times = await site.database.fetch("SELECT occurred_at FROM outcomes WHERE company = 'acme' ORDER BY occurred_at")
    until = times[-1]["occurred_at"] + timedelta(microseconds=1)
    period = ("--since", times[0]["occurred_at"].isoformat(), "--until", until.isoformat())
    result = await line.succeed("outcomes", "resend", "--company", "acme", *period, "--json")
    assert result.json == {"resent": 5, "unrouted": 0}
    again = await site.events(5)
    by_id = {event.message.message_id: event.message for event in sent}
    for event in again:
        first = by_id.pop(event.message.message_id)
        assert event.message.body == first.body
        assert event.message.routing_key == first.routing_key
        assert event.message.type == first.type
        assert event.message.correlation_id == first.correlation_id
        assert event.message.headers == first.headers | {"replayed": True}
    assert not by_id


async def test_a_period_longer_than_a_page_is_resent_once_each_and_its_end_is_outside(
    site: Site, line: CommandLine
) -> None:
    insert = """
        INSERT INTO outcomes (event_id, company, payment_id, idempotency_key, source, statusid, occurred_at, body)
        SELECT gen_random_uuid(), 'acme', n, 'k' || n, 'ropo.payment.v1', 6,
            timestamptz '2024-01-01 00:00Z' + n / 300 * interval '1 day', '{}'
        FROM generate_series(0, 999) AS n"""
    await site.database.execute(insert)
    resent = await line.succeed(
        *("outcomes", "resend", "--company", "acme", "--since", "2024-01-02", "--until", "2024-01-04", "--json")
    )
    assert resent.json == {"resent": 600, "unrouted": 0}
    keys = [str(event.message.headers["idempotency-key"]) for event in await site.events(600)]
    assert sorted(keys) == sorted(f"k{number}" for number in range(300, 900))


async def test_an_outcome_that_reaches_no_queue_is_said(site: Site, line: CommandLine) -> None:
    async with site.worker():
        await site.pay(key="k1")
        await site.next_event()
    await site.outcomes.unbind("payments.outcomes", "#")
    result = await line.succeed("outcomes", "resend", "--company", "acme", "--since", "2024-01-01", "--json")
    assert result.json == {"resent": 1, "unrouted": 1}
    assert "reached no queue" in result.stderr


async def test_a_payment_is_shown_with_its_allocations_and_its_outcome(site: Site, line: CommandLine) -> None:
    async with site.worker():
        await site.put(jobid=5)
        await site.pay({"amount": "710.10", "type": "directpayment", "creditnotebillnum": "26251"}, key="k 1/ä")
        event = await site.next_event()
    result = await line.succeed("payments", "show", "k 1/ä", "--company", "acme", "--json")
    shown = result.json
    assert shown["outcome"] == event.body
    assert '"amount": 710.10' in result.stdout
    assert (shown["payment_id"], shown["event_id"]) == (event.body["payment_id"], event.body["event_id"])
    assert (shown["status"], shown["statusid"], shown["reason"]) == ("OHISPAY", 6, "booked")
    assert (shown["amount"], shown["unfocused"], shown["currency"]) == ("710.10", "0.10", "EUR")
    assert (shown["paydate"], shown["type"], shown["source"]) == ("2017-10-10", "directpayment", "ropo.payment.v1")
    assert shown["allocations"] == [
        {
            "line": 1,
            "entry": "payment",
            "amount": "710.10",
            "capital": "710.00",
            "interest": "0.00",
            "noticefee": "0.00",
            "references": {"creditnotebillnum": "26251"},
            "invoice": {
                "billcode": "1234567",
                "jobid": 5,
                "billnum": None,
                "reference_number": None,
                "back_office_code": None,
                "external_id": None,
            },
        }
    ]
    assert "no payment" in await line.fail("payments", "show", "k 1/ä", "--company", "other")
