"""What RabbitMQ does to a worker, short of being away: ends connections and consumers, refuses, loses queues."""

import asyncio
import json
from collections import Counter

import pytest
from aio_pika import Message
from pamqp.common import FieldTable
from prometheus_client import REGISTRY

from deploy.servers.answers import ask_management
from tests.faults.oracle import assert_each_booked_and_told_once
from tests.faults.payments import events_of, invoices, pay_many
from tests.places import Vhost
from tests.site import Event, Site, eventually, is_ready, is_waiting
from worker.app import App
from worker.limits import RELAY_WINDOW_MESSAGES

FAIL_ONCE = """
    CREATE SEQUENCE failures;
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('failures') <= 1 THEN RAISE EXCEPTION 'not yet'; END IF; RETURN NEW;
    END $$;
    CREATE TRIGGER fail BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.idempotency_key = 'k0')
        EXECUTE FUNCTION fail();
"""
UNFILED = """
    CREATE TABLE full_disk ();
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF to_regclass('full_disk') IS NOT NULL THEN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON dead_letters FOR EACH ROW EXECUTE FUNCTION refuse();
"""
RUBBISH = 20
REFUSED = RELAY_WINDOW_MESSAGES + 50
"""More than the relay takes at a time, and older than what it is to go on with."""


async def is_unlinked(app: App) -> bool:
    return app.waiting_for() == ["RabbitMQ"]


async def limit_length(vhost: Vhost, queue: str, messages_max: int) -> None:
    """Have the queue refuse what is more than that."""
    definition = {"max-length": messages_max, "overflow": "reject-publish"}
    policy = json.dumps({"pattern": f"^{queue}$", "apply-to": "queues", "definition": definition}).encode()
    await asyncio.to_thread(ask_management, vhost.management_url, "PUT", f"/api/policies/{vhost.name}/full", policy)


async def lift_limit(vhost: Vhost) -> None:
    await asyncio.to_thread(ask_management, vhost.management_url, "DELETE", f"/api/policies/{vhost.name}/full")


async def worker_connections(vhost: Vhost) -> list[str]:
    path = f"/api/vhosts/{vhost.name}/connections"
    listed = json.loads(await asyncio.to_thread(ask_management, vhost.management_url, "GET", path))
    return [
        connection["name"]
        for connection in listed
        if connection.get("client_properties", {}).get("connection_name", "").startswith("payment-worker")
    ]


async def are_listed(vhost: Vhost, count: int) -> bool:
    return len(await worker_connections(vhost)) == count


async def test_connections_that_the_broker_ends_lose_nothing_and_double_nothing(site: Site, vhost: Vhost) -> None:
    await invoices(site)
    async with site.worker(), site.worker():
        await pay_many(site, 200)
        first = await events_of(site, 200)
        # The management lists a connection some seconds after it was opened; each worker has two.
        await eventually(lambda: are_listed(vhost, 4))
        sending = asyncio.create_task(pay_many(site, 1000, start=200))
        ended = [await asyncio.to_thread(vhost.end_connection, name) for name in await worker_connections(vhost)]
        assert sum(ended) >= 2  # the other of a worker's two may be gone by then
        await sending
        events = first + await events_of(site, 1000)
        await eventually(lambda: site.queue_is_empty("payments.registrations"))

    await assert_each_booked_and_told_once(site, events, 1200)


@pytest.mark.parametrize("queue", ["payments.registrations", "payments.invoices", "payments.dead-letters"])
async def test_a_consumer_cancelled_by_a_queue_deleted_and_declared_again_takes_messages_again(
    site: Site, queue: str
) -> None:
    await invoices(site, 1)
    async with site.worker() as app:
        await site.pay({"billcode": "b0", "amount": 1}, key="k0")
        first = await site.next_event()
        await site.channel.queue_delete(queue)
        await eventually(lambda: is_unlinked(app))
        await site.declare()
        await eventually(lambda: is_ready(app))
        await site.put(billcode="new", capital="1.00")
        await site.pay(b"{", key="rubbish")
        await site.dead_letters(1)
        await site.pay({"billcode": "b0", "amount": 1}, key="k1")
        events = await events_of(site, 2, seen=[first])

    assert events[-1].body["idempotency_key"] == "k1"


async def test_a_full_outcome_queue_holds_back_its_own_outcomes_and_no_others(site: Site) -> None:
    """What the broker has confirmed is not published again with what it refuses."""
    arguments: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
    full = await site.channel.declare_queue("full", durable=True, arguments=arguments)
    await full.bind("payments.outcomes", "outcome.other.*")
    await site.channel.default_exchange.publish(Message(b"no room"), "full")
    await invoices(site)
    for number in range(REFUSED):
        await site.pay({"billcode": "unknown"}, key=f"other{number}", company="other")
    await pay_many(site, 100)
    told = Counter[str]()
    async with site.worker() as app:
        events: list[Event] = []
        while len(events) < 100:
            event = await site.next_event()
            told[event.body["idempotency_key"]] += 1
            if event.body["company"] == "acme":
                events.append(event)
        nobodys = "SELECT count(*) = $1 AND bool_and(relay IS NULL) FROM outbox"
        await eventually(lambda: site.database.fetchval(nobodys, REFUSED))
        assert await is_ready(app)
        await full.unbind("payments.outcomes", "outcome.other.*")
        await eventually(lambda: site.database.fetchval("SELECT count(*) = 0 FROM outbox"))

    assert {told[f"k{number}"] for number in range(100)} == {1}
    await assert_each_booked_and_told_once(site, events, 100)


async def test_a_full_dead_letter_queue_pauses_the_worker_and_each_dead_letter_is_filed_once(
    site: Site, vhost: Vhost
) -> None:
    """Dead letters cannot be filed, so their queue fills up; then what cannot be read is held, and with it the rest."""
    await invoices(site)
    await site.database.execute(UNFILED)
    await limit_length(vhost, "payments.dead-letters", 2)
    for number in range(RUBBISH):
        await site.pay(b"{", key=f"rubbish{number}")
    await pay_many(site, 50)
    outages = outages_of("payments.registrations")
    async with site.worker(prefetch_messages=5) as app:
        await eventually(lambda: has_outages("payments.registrations", more_than=outages + 1))
        assert await site.database.fetchval("SELECT count(*) FROM payments") == 0
        await lift_limit(vhost)
        await site.database.execute("DROP TABLE full_disk")
        letters = await site.dead_letters(RUBBISH)
        events = await events_of(site, 50)
        await eventually(lambda: is_ready(app))

    assert {(letter["reason"], letter["count"]) for letter in letters} == {("malformed_json", 1)}
    await assert_each_booked_and_told_once(site, events, 50, dead_letters=RUBBISH)


def outages_of(queue: str) -> float:
    return REGISTRY.get_sample_value("payment_worker_outages_total", {"noticed_by": queue}) or 0


async def has_outages(queue: str, *, more_than: float) -> bool:
    return outages_of(queue) > more_than


@pytest.mark.parametrize("missing", ["queue", "exchange"])
async def test_a_missing_retry_queue_pauses_the_worker_until_setup_and_the_message_keeps_its_attempts(
    site: Site, missing: str
) -> None:
    await invoices(site)
    await site.database.execute(FAIL_ONCE)
    await site.channel.queue_delete("payments.retry.5s")
    if missing == "exchange":
        await site.channel.exchange_delete("payments.retry.5s")
    await pay_many(site, 20)
    async with site.worker() as app:
        await eventually(lambda: is_waiting(app))
        await site.database.execute("ALTER SEQUENCE failures RESTART")
        await site.declare()
        events = await events_of(site, 20)
        await eventually(lambda: is_ready(app))

    await assert_each_booked_and_told_once(site, events, 20)
    assert not any(event.replayed for event in events)
