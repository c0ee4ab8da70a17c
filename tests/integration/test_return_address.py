"""Where an answer goes and what it carries back: reply_to, correlation_id and trace headers, of every message."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from schemas import catalog
from tests.integration.dialects import CANCEL, PAYMENTS, ROPO, Payment, invoice_names
from tests.site import DEADLINE_S, Event, Site, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b,c=d"}
NO_TRACE = {"traceparent": None, "tracestate": None}
_numbers = itertools.count(1)


@dataclass
class Sender:
    """Somebody who asks to be answered, in a company of their own."""

    site: Site
    queue: AbstractQueue
    number: int
    _replies: asyncio.Queue[AbstractIncomingMessage] = field(default_factory=asyncio.Queue)

    @property
    def company(self) -> str:
        return f"sender-{self.number}"

    def key(self, name: str) -> str:
        return f"{name}-{self.number}"

    async def put(self) -> None:
        await self.site.put(self.company, **invoice_names(self.number) | {"capital": "100.00"})

    async def pay(self, name: str, source: str = ROPO, *, amount: str = "100.00", **properties: Any) -> None:
        body = PAYMENTS[source](Payment(key=self.key(name), number=self.number, amount=amount))
        await self.send(name, source, body, **properties)

    async def cancel(self, name: str, payment: str, **properties: Any) -> None:
        await self.send(name, CANCEL, {"payment": self.key(payment)}, **properties)

    async def send(self, name: str, source: str, body: object, **properties: Any) -> None:
        """Ask for an answer: it is to be known by the message's name."""
        plain = {"reply_to": self.queue.name, "correlation_id": f"asked for {name}", "headers": TRACE}
        await self.site.publish(
            "registration", body, key=self.key(name), company=self.company, type=source, **plain | properties
        )

    async def told(self, name: str) -> Event:
        return await self.site.event_of(self.key(name))

    async def reply(self) -> AbstractIncomingMessage:
        async with asyncio.timeout(DEADLINE_S):
            return await self._replies.get()

    def is_answered(self) -> bool:
        """Say that no reply has come but those that were taken."""
        return self._replies.empty()

    async def on_reply(self, message: AbstractIncomingMessage) -> None:
        await message.ack()
        await self._replies.put(message)


async def sender(site: Site, **rules: Any) -> Sender:
    asking = Sender(site, await site.channel.declare_queue(exclusive=True), next(_numbers))
    await site.policy(asking.company, **rules)
    await asking.queue.consume(asking.on_reply)
    return asking


def carried(message: AbstractIncomingMessage) -> tuple[str | None, dict[str, object]]:
    return message.correlation_id, {name: message.headers.get(name) for name in TRACE}


def assert_copy(reply: AbstractIncomingMessage, event: Event) -> None:
    """The reply is the very event, on its way through the default exchange."""
    assert reply.body == event.message.body
    assert (reply.exchange, reply.delivery_mode) == ("", 2)
    for name in ("message_id", "type", "content_type", "correlation_id", "headers"):
        assert getattr(reply, name) == getattr(event.message, name)


@pytest.mark.parametrize("source", [*PAYMENTS, CANCEL])
async def test_every_source_is_answered_where_it_asked_with_what_it_sent_along(shared_site: Site, source: str) -> None:
    asking = await sender(shared_site)
    await asking.put()
    if source == CANCEL:
        await asking.pay("payment", reply_to=None)
        await asking.told("payment")
        await asking.cancel("k", "payment")
    else:
        await asking.pay("k", source)
    event = await asking.told("k")

    assert event.body["reason"] == ("cancelled" if source == CANCEL else "booked")
    assert carried(event.message) == ("asked for k", TRACE)
    assert_copy(await asking.reply(), event)
    assert asking.is_answered()


@pytest.mark.parametrize("source", [*PAYMENTS, CANCEL])
async def test_what_was_not_sent_along_is_not_made_up(shared_site: Site, source: str) -> None:
    asking = await sender(shared_site)
    body = {"payment": "none"} if source == CANCEL else PAYMENTS[source](Payment(key=asking.key("k"), number=0))
    await asking.send("k", source, body, reply_to=None, correlation_id=None, headers=None)
    assert carried((await asking.told("k")).message) == (None, NO_TRACE)


async def test_refusals_are_answered_too(shared_site: Site) -> None:
    asking = await sender(shared_site)
    await asking.send("invalid", ROPO, {"amount": "x"})
    await asking.pay("unknown")
    for name, reason in (("invalid", "invalid"), ("unknown", "invoice_not_found")):
        event = await asking.told(name)
        assert event.body["reason"] == reason
        assert carried(event.message) == (f"asked for {name}", TRACE)
        assert_copy(await asking.reply(), event)


async def test_a_replayed_event_goes_to_who_asked_this_time(shared_site: Site) -> None:
    first, second = await sender(shared_site), await sender(shared_site)
    await first.put()
    await first.pay("k")
    booked = await first.told("k")
    await first.pay("k", correlation_id="again", reply_to=second.queue.name, headers=TRACE | {"tracestate": "e=f"})
    again = await first.told("k")

    assert again.message.body == booked.message.body
    assert carried(again.message) == ("again", TRACE | {"tracestate": "e=f"})
    assert_copy(await first.reply(), booked)
    assert_copy(await second.reply(), again)
    assert first.is_answered()


@pytest.mark.parametrize("source", PAYMENTS)
async def test_a_payment_that_waited_is_answered_where_it_asked(shared_site: Site, source: str) -> None:
    asking = await sender(shared_site, await_invoice_s=3600)
    await asking.pay("k", source)
    undone = await asking.told("k")
    await asking.put()
    booked = await asking.told("k")

    assert [event.body["reason"] for event in (undone, booked)] == ["invoice_awaited", "booked"]
    for event in (undone, booked):
        assert carried(event.message) == ("asked for k", TRACE)
        assert_copy(await asking.reply(), event)


async def test_a_wait_that_ends_in_nothing_is_answered_where_it_was_asked(shared_site: Site) -> None:
    asking = await sender(shared_site, await_invoice_s=1)
    await asking.pay("k")
    for reason in ("invoice_awaited", "invoice_not_found"):
        event = await asking.told("k")
        assert event.body["reason"] == reason
        assert carried(event.message) == ("asked for k", TRACE)
        assert_copy(await asking.reply(), event)


async def test_a_payment_that_is_cancelled_while_it_waits_and_its_cancellation_are_each_answered(
    shared_site: Site,
) -> None:
    paying, cancelling = await sender(shared_site, await_invoice_s=3600), await sender(shared_site)
    await paying.pay("k")
    undone = await paying.told("k")
    await paying.cancel("c", "k", reply_to=cancelling.queue.name)
    cancelled, last = await paying.told("c"), await paying.told("k")

    assert (cancelled.body["reason"], last.body["reason"]) == ("payment_not_booked", "payment_cancelled")
    assert carried(cancelled.message) == ("asked for c", TRACE)
    assert carried(last.message) == ("asked for k", TRACE)
    assert_copy(await cancelling.reply(), cancelled)
    assert_copy(await paying.reply(), undone)
    assert_copy(await paying.reply(), last)


async def test_a_payment_that_comes_again_while_it_waits_is_answered_where_it_was_asked_last(shared_site: Site) -> None:
    first, second = await sender(shared_site, await_invoice_s=3600), await sender(shared_site)
    await first.pay("k")
    undone = await first.told("k")
    await first.pay("k", reply_to=second.queue.name, correlation_id="again", headers=None)
    undone_again = await first.told("k")
    await first.put()
    booked = await first.told("k")

    assert carried(booked.message) == ("again", NO_TRACE)
    assert_copy(await first.reply(), undone)
    assert_copy(await second.reply(), undone_again)
    assert_copy(await second.reply(), booked)
    assert first.is_answered()


# What may be wrong with a reply queue costs the copy and nothing else.


async def are_all_told(asking: Sender) -> bool:
    sql = "SELECT NOT EXISTS (SELECT FROM outbox JOIN outcomes USING (event_id) WHERE company = $1)"
    return bool(await asking.site.database.fetchval(sql, asking.company))


async def test_a_reply_queue_that_never_was_gets_no_copy(shared_site: Site) -> None:
    asking = await sender(shared_site)
    await asking.put()
    await asking.pay("k1", amount="1.00", reply_to="gone")
    await asking.pay("k2", amount="1.00")
    assert carried((await asking.told("k1")).message) == ("asked for k1", TRACE)
    assert_copy(await asking.reply(), await asking.told("k2"))
    await eventually(lambda: are_all_told(asking))


async def test_a_queue_of_the_workers_own_gets_no_copy(shared_site: Site) -> None:
    """As a registration it would be refused, and so be a dead letter by the time that two more have been answered."""
    dead = await shared_site.channel.declare_queue(exclusive=True)
    await dead.bind(catalog.DEAD_LETTER, catalog.REGISTRATIONS_QUEUE)
    asking = await sender(shared_site)
    await asking.pay("k1", reply_to=catalog.REGISTRATIONS_QUEUE)
    await asking.told("k1")
    await eventually(lambda: are_all_told(asking))
    for name in ("k2", "k3"):
        await asking.pay(name)
        await asking.told(name)
    assert await dead.get(fail=False) is None


async def test_a_reply_queue_may_be_called_much_like_one_of_the_workers_own(shared_site: Site) -> None:
    asking = await sender(shared_site)
    await asking.put()
    queue = await shared_site.channel.declare_queue("payments.replies", exclusive=True)
    await queue.consume(asking.on_reply)
    await asking.pay("k", reply_to="payments.replies")
    assert_copy(await asking.reply(), await asking.told("k"))


@pytest.mark.parametrize("source", [*PAYMENTS, CANCEL])
async def test_a_reply_queue_that_has_gone_meanwhile_costs_only_the_copy(shared_site: Site, source: str) -> None:
    """Of a payment that waited; and of a cancellation."""
    asking = await sender(shared_site, await_invoice_s=3600)
    await asking.pay("k", ROPO if source == CANCEL else source)
    assert_copy(await asking.reply(), await asking.told("k"))
    await asking.queue.delete(if_unused=False)
    await asking.put()
    booked = await asking.told("k")
    assert booked.body["reason"] == "booked"
    assert carried(booked.message) == ("asked for k", TRACE)
    if source == CANCEL:
        await asking.cancel("c", "k")
        cancelled = await asking.told("c")
        assert (cancelled.body["reason"], carried(cancelled.message)) == ("cancelled", ("asked for c", TRACE))
    await eventually(lambda: are_all_told(asking))


@pytest.mark.asyncio(loop_scope="function")
async def test_a_reply_queue_that_refuses_or_breaks_the_connection_costs_only_the_copy(site: Site) -> None:
    arguments: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await site.channel.declare_queue("full", arguments=arguments, durable=True)
    await site.channel.default_exchange.publish(aio_pika.Message(b"in the way"), "full")
    async with site.worker():
        await site.put()
        await site.pay({"amount": 1}, key="k1", reply_to="full")
        # At such a name the broker closes the connection.
        await site.pay({"amount": 1}, key="k2", reply_to="amq.rabbitmq.reply-to.bm90IGEgcGlk.abc")
        await site.pay({"amount": 1}, key="k3")
        sql = "SELECT count(*) = 3 AND NOT EXISTS (SELECT FROM outbox) FROM outcomes"
        await eventually(lambda: site.database.fetchval(sql))
        events = await site.events(3)

    assert sorted(event.body["idempotency_key"] for event in events) == ["k1", "k2", "k3"]
    assert site.is_quiet()
