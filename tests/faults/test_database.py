"""Postgres ends sessions, refuses to work, or answers no more: no message is blamed, and nothing is lost or doubled."""

import asyncio

import pytest

from tests.faults.oracle import assert_each_booked_and_told_once
from tests.faults.payments import events_of, invoices, pay_many
from tests.site import ROPO, Site, eventually, is_ready, is_waiting

END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
END_OWN_SESSION = """
    CREATE SEQUENCE ended;
    CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('ended') <= 3 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL;
    END $$;
    CREATE {kind} TRIGGER end_session AFTER {event} {when} FOR EACH ROW EXECUTE FUNCTION end_session();
"""
DISK_FULL = """
    CREATE TABLE full_disk (); CREATE SEQUENCE refusals;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF to_regclass('full_disk') IS NOT NULL THEN
            PERFORM nextval('refusals');
            RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION refuse();
"""
PREFETCH = 50


async def assert_nothing_was_charged(site: Site) -> None:
    assert await site.database.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert await site.queue_is_empty("payments.retry.5s")


async def test_sessions_that_the_database_ends_lose_nothing_and_double_nothing(site: Site) -> None:
    await invoices(site)
    async with site.worker(), site.worker():
        sending = asyncio.create_task(pay_many(site, 1000))
        for _ in range(10):
            await site.database.execute(END_SESSIONS)
            await asyncio.wait([sending], timeout=0.05)
        await sending
        events = await events_of(site, 1000)
        await eventually(lambda: site.queue_is_empty("payments.registrations"))

    await assert_each_booked_and_told_once(site, events, 1000)


@pytest.mark.parametrize(
    "event",
    [
        "INSERT ON payments",
        "INSERT ON outcomes",
        "INSERT ON allocations",
        "UPDATE ON invoices",
        "INSERT ON outbox",
        "DELETE ON outbox",
    ],
)
@pytest.mark.parametrize("at_commit", [False, True])
async def test_a_session_that_is_ended_at_a_statement_or_at_commit_has_done_nothing(
    site: Site,
    event: str,
    at_commit: bool,  # noqa: FBT001
) -> None:
    await invoices(site)
    kind, when = ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED") if at_commit else ("", "")
    await site.database.execute(END_OWN_SESSION.format(kind=kind, event=event, when=when))
    await pay_many(site, 30)
    async with site.worker():
        events = await events_of(site, 30)
        await eventually(lambda: site.database.fetchval("SELECT last_value > 3 FROM ended"))
        await eventually(lambda: site.queue_is_empty("payments.registrations"))

    await assert_each_booked_and_told_once(site, events, 30)


async def test_a_database_that_takes_no_writes_pauses_the_worker_and_blames_no_message(site: Site) -> None:
    await invoices(site)
    name = await site.database.fetchval("SELECT quote_ident(current_database())")
    async with site.worker() as app:
        await pay_many(site, 50)
        events = await events_of(site, 50)
        await site.database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await site.database.execute(END_SESSIONS)
        await pay_many(site, 200, start=50)
        await eventually(lambda: is_waiting(app))
        await assert_nothing_was_charged(site)
        await site.database.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await site.database.execute(END_SESSIONS)
        events = await events_of(site, 250, seen=events)
        await eventually(lambda: is_ready(app))

    await assert_each_booked_and_told_once(site, events, 250)


async def test_a_full_disk_pauses_the_worker_which_holds_no_more_than_its_prefetch(site: Site) -> None:
    """However often it tries again: its consumer begins anew only when what it holds has been done."""
    await invoices(site)
    await site.database.execute(DISK_FULL)
    await pay_many(site, 300)
    async with site.worker(prefetch_messages=PREFETCH) as app:
        await eventually(lambda: site.database.fetchval("SELECT last_value >= 4 FROM refusals"))
        assert await is_waiting(app)
        await eventually(lambda: site.holds("payments.registrations", 300 - PREFETCH))
        await assert_nothing_was_charged(site)
        await site.database.execute("DROP TABLE full_disk")
        events = await events_of(site, 300)
        await eventually(lambda: is_ready(app))

    await assert_each_booked_and_told_once(site, events, 300)
    assert not any(event.replayed for event in events)


async def test_a_worker_that_starts_before_its_servers_are_set_up_waits_for_them(site: Site) -> None:
    """The schema is missing at first: no message is blamed for it."""
    await site.database.execute("ALTER TABLE companies RENAME TO elsewhere")
    async with site.worker() as app:
        await site.pay(ROPO, key="k1")
        await eventually(lambda: is_waiting(app))
        await site.database.execute("ALTER TABLE elsewhere RENAME TO companies")
        event = await site.next_event()

    assert event.body["reason"] == "invoice_not_found"
    await assert_nothing_was_charged(site)


async def test_one_lane_that_cannot_work_leaves_the_others_at_work(site: Site) -> None:
    """Statements of invoices cannot be written; payments of the invoices that are there go on, the worker not ready."""
    await invoices(site)
    await site.database.execute(DISK_FULL.replace("INSERT ON payments", "INSERT ON invoices"))
    async with site.worker() as app:
        put = {"billcode": "new", "capital": "1.00", "version": 1}
        await site.publish("invoice", put, type="invoice.put.v1")
        await eventually(lambda: is_waiting(app))
        await pay_many(site, 50)
        events = await events_of(site, 50)
        assert await is_waiting(app)
        await site.database.execute("DROP TABLE full_disk")
        await eventually(lambda: site.database.fetchval("SELECT EXISTS (SELECT FROM invoices WHERE billcode = 'new')"))
        await eventually(lambda: is_ready(app))

    await assert_each_booked_and_told_once(site, events, 50)
