"""Workers are killed, or told to stop, at whatever moment: what they had in hand is done by others, once."""

import asyncio
import json
import os
import random
import signal
import time
from contextlib import ExitStack

import asyncpg

from tests.faults.oracle import assert_each_booked_and_told_once
from tests.faults.payments import events_of, invoices, pay_many
from tests.faults.processes import forked_worker, worker_process
from tests.faults.proxy import Proxy
from tests.site import DEADLINE_S, Event, Site, eventually

QUEUE = "payments.registrations"
KILLS_AT_RANDOM = 20
WORKERS = 3
PAYMENTS_A_KILL = 100
MOMENT_MAX_S = 0.1

KILLS_IN_A_ROW = 30
HELD = 20


async def test_workers_killed_at_random_moments_under_load_lose_nothing_and_double_nothing(site: Site) -> None:
    seed = int(os.environ.get("PAYMENT_WORKER_SEED", time.time_ns() % 1_000_000))
    print(f"Again: PAYMENT_WORKER_SEED={seed} python -m pytest tests/faults/test_kills.py -k random")  # noqa: T201
    moments = random.Random(seed)  # noqa: S311 (to be drawn again from its seed)
    await invoices(site)
    with ExitStack() as stack:
        workers = [stack.enter_context(forked_worker(site)) for _ in range(WORKERS)]
        for kill in range(KILLS_AT_RANDOM):
            await pay_many(site, PAYMENTS_A_KILL, start=kill * PAYMENTS_A_KILL)
            await asyncio.sleep(moments.uniform(0, MOMENT_MAX_S))
            workers.pop(moments.randrange(WORKERS)).kill()
            workers.append(stack.enter_context(forked_worker(site)))
        events = await events_of(site, KILLS_AT_RANDOM * PAYMENTS_A_KILL)
        await eventually(lambda: site.database.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))

    await assert_each_booked_and_told_once(site, events, KILLS_AT_RANDOM * PAYMENTS_A_KILL)


async def test_thirty_kills_in_a_row_with_the_same_messages_in_hand_dead_letter_none_of_them(site: Site) -> None:
    await invoices(site, 1)
    await pay_many(site, HELD, invoice_count=1)
    other = await asyncpg.connect(site.database_url)
    try:
        async with other.transaction():
            # So the worker stands in the middle of its transaction, with all of them in hand.
            await other.execute("SELECT FROM invoices FOR UPDATE")
            for _ in range(KILLS_IN_A_ROW):
                with forked_worker(site) as worker:
                    await eventually(lambda: site.has_delivered_all(QUEUE))
                    worker.kill()
                await eventually(lambda: site.holds(QUEUE, HELD))
    finally:
        await other.close()
    queue = await site.channel.get_queue(QUEUE, ensure=False)
    message = await queue.get()
    assert message is not None
    assert message.headers["x-delivery-count"] == KILLS_IN_A_ROW
    await message.nack(requeue=True)

    async with site.worker():
        events = await events_of(site, HELD)
    await assert_each_booked_and_told_once(site, events, HELD)


async def test_a_worker_process_as_ops_starts_it_is_killed_under_load(site: Site) -> None:
    await invoices(site)
    await pay_many(site, 1000)
    events: list[Event] = []
    async with worker_process(site) as process:
        events += await site.events(50)
        process.send_signal(signal.SIGKILL)
    async with site.worker():
        events = await events_of(site, 1000, seen=events)

    await assert_each_booked_and_told_once(site, events, 1000)


async def test_sigterm_under_load_ends_in_order_with_everything_booked_told(site: Site) -> None:
    await invoices(site)
    await pay_many(site, 3000)
    async with worker_process(site, PAYMENT_WORKER_SHUTDOWN_DEADLINE_S=str(DEADLINE_S - 10)) as process:
        events = [await site.next_event()]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            _, log = await process.communicate()

    assert process.returncode == 0, log.decode()
    assert log.decode().splitlines()[-1].find('"stopped"') > 0
    booked = await site.database.fetchval("SELECT count(*) FROM payments")
    assert booked > 0
    assert await site.database.fetchval("SELECT count(*) FROM outbox") == 0
    await eventually(lambda: site.holds(QUEUE, 3000 - booked))

    async with site.worker():
        events = await events_of(site, 3000, seen=events)
    await assert_each_booked_and_told_once(site, events, 3000)
    assert not any(event.replayed for event in events)


async def test_a_deadline_that_passes_while_postgres_hangs_ends_the_worker_and_it_says_so(site: Site) -> None:
    await invoices(site)
    await pay_many(site, 1000)
    async with (
        Proxy(site.database_url) as proxy,
        worker_process(
            site,
            PAYMENT_WORKER_DATABASE_URL=proxy.url,
            PAYMENT_WORKER_SHUTDOWN_DEADLINE_S="1",
            PAYMENT_WORKER_BATCH_MESSAGES="20",
        ) as process,
    ):
        events = await site.events(50)
        proxy.stall()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            _, log = await process.communicate()

    said = log.decode().splitlines()
    assert process.returncode == 1, said[-5:]
    assert any("deadline passed" in line for line in said)
    assert said[-1].endswith("nothing is lost, it will be delivered again")
    assert json.loads(said[-2])["event"] != "stopped"
    async with site.worker():
        events = await events_of(site, 1000, seen=events)
    await assert_each_booked_and_told_once(site, events, 1000)
