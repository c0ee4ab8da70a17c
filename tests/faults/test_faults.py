"""What goes wrong around a worker costs time and nothing else."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg

from deploy.servers.answers import ask_management
from tests.places import Vhost
from tests.site import DEADLINE_S, ROPO, Event, Site, eventually
from worker.app import App
from worker.broker.delivery import ATTEMPTS_HEADER

FAIL_ON_KEY = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
    CREATE TRIGGER fail BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.idempotency_key = 'bad')
        EXECUTE FUNCTION fail();
    CREATE SEQUENCE failures;
"""


async def invoices(site: Site, count: int, capital_cents: int = 1_000_000) -> None:
    """Have invoices b0, b1, ... in the books before any worker runs."""
    await site.database.execute(
        "INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)"
        " SELECT 'acme', 'b' || n, 'EUR', 'OPEN', 1, $2, 0, 0 FROM generate_series(0, $1 - 1) AS n",
        count,
        capital_cents,
    )


async def pay_many(site: Site, count: int, invoice_count: int = 10, start: int = 0) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(start, start + count):
            body = {"amount": "1.00", "billcode": f"b{number % invoice_count}"}
            group.create_task(site.pay(body, key=f"k{number}"))


async def events_of(site: Site, keys: int, seen: Iterable[Event] = ()) -> list[Event]:
    """Return what arrives until each key has had an event, after what has been seen already."""
    seen = list(seen)
    known = {event.body["idempotency_key"] for event in seen}
    while len(known) < keys:
        seen.append(await site.next_event())
        known.add(seen[-1].body["idempotency_key"])
    return seen


async def assert_booked_once(site: Site, events: list[Event], keys: int) -> None:
    """Each key has one event_id and one booking, and the balances are what that makes."""
    assert {event.body["statusid"] for event in events} == {6}
    assert len({event.body["event_id"] for event in events}) == keys
    assert await site.database.fetchval("SELECT count(*) FROM payments WHERE statusid = 6") == keys
    assert await site.database.fetchval("SELECT count(*) FROM allocations") == keys
    assert await site.database.fetchval("SELECT sum(capital) FROM allocations") == keys * 100
    assert await site.database.fetchval("SELECT sum(capital_allocated) FROM invoices") == keys * 100


async def test_one_message_that_always_fails_hurts_no_neighbour_and_ends_as_poison(site: Site) -> None:
    await site.database.execute(FAIL_ON_KEY.format(body="RAISE EXCEPTION 'no';"))
    await invoices(site, 10)
    await pay_many(site, 20)
    await site.pay({"billcode": "b1"}, key="bad", headers={ATTEMPTS_HEADER: 3})
    await pay_many(site, 20, start=20)
    async with site.worker():
        events = await events_of(site, 40)
        (letter,) = await site.dead_letters(1)

    await assert_booked_once(site, events, 40)
    assert (letter["reason"], letter["idempotency_key"]) == ("poison", "bad")
    assert json.loads(letter["properties"]).get("headers") == {}


async def test_a_message_that_fails_waits_in_a_retry_queue_and_comes_back_as_it_was(site: Site) -> None:
    """It fails in all tries of its first delivery and is booked after the shortest delay, five seconds."""
    body = "IF nextval('failures') <= 1 THEN RAISE EXCEPTION 'not yet'; END IF;"
    await site.database.execute(FAIL_ON_KEY.format(body=body))
    await invoices(site, 1)
    async with site.worker():
        await site.pay({"billcode": "b0"}, key="bad", correlation_id="c1", headers={"mine": [1]})
        event = await site.next_event()

    assert event.body["statusid"] == 6
    assert event.message.correlation_id == "c1"
    assert await site.database.fetchval("SELECT last_value FROM failures") == 2


async def test_a_serialization_failure_is_tried_again_on_the_spot(site: Site) -> None:
    body = "IF nextval('failures') <= 2 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;"
    await site.database.execute(FAIL_ON_KEY.format(body=body))
    await invoices(site, 1)
    async with site.worker():
        await site.pay({"billcode": "b0"}, key="bad")
        event = await site.next_event()

    assert event.body["statusid"] == 6
    assert await site.queue_is_empty("payments.retry.5s")


async def test_sessions_that_the_database_ends_lose_nothing_and_double_nothing(site: Site) -> None:
    await invoices(site, 10)
    async with site.worker(), site.worker():
        sending = asyncio.create_task(pay_many(site, 1000))
        for _ in range(10):
            await site.database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await asyncio.wait([sending], timeout=0.05)
        await sending
        events = await events_of(site, 1000)
        await eventually(lambda: site.queue_is_empty("payments.registrations"))

    await assert_booked_once(site, events, 1000)


async def test_connections_that_the_broker_ends_lose_nothing_and_double_nothing(site: Site, vhost: Vhost) -> None:
    await invoices(site, 10)
    async with site.worker(), site.worker():
        await pay_many(site, 200)
        first = await events_of(site, 200)
        # The management lists a connection some seconds after it was opened.
        await eventually(lambda: are_listed(vhost))
        sending = asyncio.create_task(pay_many(site, 1000, start=200))
        for name in await worker_connections(vhost):
            await asyncio.to_thread(ask_management, vhost.management_url, "DELETE", f"/api/connections/{name}")
        await sending
        events = first + await events_of(site, 1000)

    await assert_booked_once(site, events, 1200)


async def worker_connections(vhost: Vhost) -> list[str]:
    path = f"/api/vhosts/{vhost.name}/connections"
    listed = json.loads(await asyncio.to_thread(ask_management, vhost.management_url, "GET", path))
    return [
        quote(connection["name"], safe="")
        for connection in listed
        if connection.get("client_properties", {}).get("connection_name", "").startswith("payment-worker")
    ]


async def are_listed(vhost: Vhost) -> bool:
    return len(await worker_connections(vhost)) == 2


async def test_a_queue_that_is_deleted_and_declared_again_is_taken_from_again(site: Site) -> None:
    await invoices(site, 1)
    async with site.worker() as app:
        await site.pay({"billcode": "b0"}, key="k1")
        first = await site.next_event()
        await site.channel.queue_delete("payments.registrations")
        await eventually(lambda: is_unlinked(app))
        await site.declare()
        await site.pay({"billcode": "b0"}, key="k2")
        events = await events_of(site, 2, seen=[first])

    assert events[-1].body["idempotency_key"] == "k2"


@asynccontextmanager
async def worker_process(site: Site) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker as ops starts it, killed at the end if it still runs."""
    environment = os.environ | {
        "PAYMENT_WORKER_AMQP_URL": site.amqp_url,
        "PAYMENT_WORKER_DATABASE_URL": site.database_url,
        "PAYMENT_WORKER_HTTP_PORT": "0",
        "PAYMENT_WORKER_HTTP_HOST": "127.0.0.1",
    }
    command = Path(sys.executable).with_name("payment-worker")
    process = await asyncio.create_subprocess_exec(command, "run", env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_workers_killed_under_load_lose_nothing_and_double_nothing(site: Site) -> None:
    await invoices(site, 10)
    await pay_many(site, 3000)
    events: list[Event] = []
    for _ in range(3):
        async with worker_process(site) as process:
            events += [await site.next_event() for _ in range(50)]
            process.send_signal(signal.SIGKILL)
    async with worker_process(site):
        events = await events_of(site, 3000, seen=events)

    await assert_booked_once(site, events, 3000)


async def test_sigterm_under_load_ends_in_order_with_everything_booked_told(site: Site) -> None:
    await invoices(site, 10)
    await pay_many(site, 3000)
    async with worker_process(site) as process:
        await site.next_event()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            _, log = await process.communicate()

    assert process.returncode == 0, log.decode()
    assert log.decode().splitlines()[-1].find('"stopped"') > 0
    booked = await site.database.fetchval("SELECT count(*) FROM payments")
    assert booked > 0
    assert await site.database.fetchval("SELECT count(*) FROM outbox") == 0
    waiting = await site.channel.declare_queue("payments.registrations", passive=True)
    assert waiting.declaration_result.message_count == 3000 - booked


async def test_a_worker_that_starts_before_its_servers_are_set_up_waits_for_them(site: Site) -> None:
    """The schema is missing at first: no message is blamed for it."""
    await site.database.execute("ALTER TABLE companies RENAME TO elsewhere")
    async with site.worker() as app:
        await site.pay(ROPO, key="k1")
        await eventually(lambda: is_waiting(app))
        await site.database.execute("ALTER TABLE elsewhere RENAME TO companies")
        event = await site.next_event()

    assert event.body["reason"] == "invoice_not_found"
    assert await site.database.fetchval("SELECT count(*) FROM dead_letters") == 0


async def is_unlinked(app: App) -> bool:
    return app.waiting_for() == ["RabbitMQ"]


async def is_waiting(app: App) -> bool:
    return app.waiting_for() == ["a server that is away"]


async def test_a_payment_that_another_session_holds_the_invoice_of_waits_for_it(site: Site) -> None:
    await invoices(site, 1)
    other = await asyncpg.connect(site.database_url)
    try:
        async with site.worker():
            async with other.transaction():
                await other.execute("SELECT FROM invoices FOR UPDATE")
                await site.pay({"billcode": "b0", "amount": 1}, key="k1")
                waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                await eventually(lambda: site.database.fetchval(waits))
                await other.execute("UPDATE invoices SET stated_state = 'CANCELLED'")
            event = await site.next_event()
    finally:
        await other.close()

    assert event.body["reason"] == "invoice_cancelled"
