"""The network between a worker and its servers cuts, stalls or forgets connections; a proxy stands in for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pamqp.commands import Basic
from pydantic import SecretStr

from tests.faults.oracle import assert_each_booked_and_told_once
from tests.faults.payments import events_of, invoices, pay_many
from tests.faults.proxy import Proxy
from tests.site import DEADLINE_S, Site, eventually, is_not_ready, is_ready
from worker.app import App
from worker.books.session import Session
from worker.broker.publication import Publication
from worker.broker.replies import Replies
from worker.domain.settlement import Settlement

PAYMENTS = 600
BATCH = 20


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the worker find out in seconds what takes it up to a minute in earnest."""
    monkeypatch.setattr("worker.app.ANSWER_TIMEOUT_S", 1.0)
    monkeypatch.setattr("worker.broker.connection.HEARTBEAT_S", 1)
    monkeypatch.setattr("worker.outage.RECONNECT_DELAY_MAX_S", 1.0)
    monkeypatch.setattr("worker.broker.channel.PUBLISH_TIMEOUT_S", 1.0)
    for module in ("worker.books.session", "worker.broker.connection", "worker.broker.channel"):
        monkeypatch.setattr(f"{module}.CONNECT_TIMEOUT_S", 1.0)


def url_of(site: Site, server: str) -> str:
    return site.amqp_url if server == "broker" else site.database_url


def by_way_of(proxy: Proxy, server: str) -> dict[str, SecretStr]:
    return {"amqp_url" if server == "broker" else "database_url": SecretStr(proxy.url)}


@asynccontextmanager
async def under_load(site: Site, server: str) -> AsyncIterator[tuple[Proxy, App]]:
    """A worker amid its payments: what the block does to its network must cost nothing but time."""
    await invoices(site)
    await pay_many(site, PAYMENTS)
    async with (
        Proxy(url_of(site, server)) as proxy,
        site.worker(batch_messages=BATCH, **by_way_of(proxy, server)) as app,
    ):
        events = await site.events(100)
        yield proxy, app
        events = await events_of(site, PAYMENTS, seen=events)
        await eventually(lambda: is_ready(app))
        await eventually(lambda: site.queue_is_empty("payments.registrations"))

    await assert_each_booked_and_told_once(site, events, PAYMENTS)


@pytest.mark.parametrize("server", ["broker", "database"])
async def test_connections_cut_under_load_again_and_again_cost_nothing_but_time(site: Site, server: str) -> None:
    await invoices(site)
    await pay_many(site, PAYMENTS)
    async with Proxy(url_of(site, server)) as proxy, site.worker(batch_messages=BATCH, **by_way_of(proxy, server)):
        events = []
        for _ in range(3):
            events += await site.events(100)
            proxy.cut()
        events = await events_of(site, PAYMENTS, seen=events)
        await eventually(lambda: site.queue_is_empty("payments.registrations"))

    await assert_each_booked_and_told_once(site, events, PAYMENTS)


@pytest.mark.parametrize("server", ["broker", "database"])
async def test_a_network_that_stalls_under_load_is_noticed_and_what_it_held_back_does_no_harm(
    site: Site, server: str
) -> None:
    """Connections are accepted and stay silent, so only the worker's own bounds can end the wait."""
    async with under_load(site, server) as (proxy, app):
        proxy.stall()
        await eventually(lambda: is_not_ready(app))
        proxy.heal()


@pytest.mark.parametrize("server", ["broker", "database"])
async def test_a_server_that_is_silently_gone_under_load_is_noticed(site: Site, server: str) -> None:
    """The connection stays open on the worker's side alone: what it sends goes nowhere."""
    async with under_load(site, server) as (proxy, _):
        proxy.lose_server()


async def test_a_broker_that_is_silently_gone_is_noticed_by_an_idle_worker(site: Site) -> None:
    """Nothing is published and nothing delivered: only the heartbeat tells."""
    await invoices(site)
    async with Proxy(site.amqp_url) as proxy, site.worker(amqp_url=SecretStr(proxy.url)) as app:
        await eventually(lambda: is_ready(app))
        proxy.stall()
        proxy.lose_server()
        await eventually(lambda: is_not_ready(app))
        proxy.heal()
        await eventually(lambda: is_ready(app))
        await pay_many(site, 20)
        events = await events_of(site, 20)

    await assert_each_booked_and_told_once(site, events, 20)


async def test_the_answer_to_a_commit_that_is_lost_books_nothing_twice(site: Site) -> None:
    """Postgres has committed, and the worker cannot know: the key tells when the message comes again."""
    await invoices(site)
    await pay_many(site, 200)
    async with Proxy(site.database_url) as proxy:
        proxy.cut_at(b"COMMIT\x00", times=10)
        async with site.worker(batch_messages=BATCH, database_url=SecretStr(proxy.url)):
            events = await events_of(site, 200)
            await eventually(lambda: site.queue_is_empty("payments.registrations"))
        assert proxy.cuts_left == 0

    await assert_each_booked_and_told_once(site, events, 200)


async def test_replies_that_are_not_confirmed_are_given_up_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long RabbitMQ may take for one: the outcomes must not wait."""
    monkeypatch.setattr("worker.broker.channel.PUBLISH_TIMEOUT_S", 3600.0)
    monkeypatch.setattr("worker.broker.connection.HEARTBEAT_S", 3600)
    for module in ("worker.broker.connection", "worker.broker.channel"):
        monkeypatch.setattr(f"{module}.CONNECT_TIMEOUT_S", DEADLINE_S)
    reply = Publication("", site.outcomes.name, b"{}", Basic.Properties())
    async with Proxy(site.amqp_url) as proxy, asyncio.timeout(DEADLINE_S):
        replies = Replies(proxy.url, "replies")
        assert await replies.publish([reply]) == [True]
        proxy.hold_answers()
        with monkeypatch.context() as patch:
            patch.setattr("worker.broker.replies.REPLIES_TIMEOUT_S", 0.5)
            assert await replies.publish([reply] * 3) == [False] * 3
        proxy.heal()
        assert await replies.publish([reply]) == [True]
        await replies.close()


async def test_a_lane_that_is_slow_to_end_is_not_met_by_the_next_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection to the broker is cut while a lane, deaf to its cancellation, is in a transaction."""
    monkeypatch.setattr("worker.app.CLOSE_TIMEOUT_S", 0.1)
    settles, may_end = asyncio.Event(), asyncio.Event()

    async def linger(session: Session, *_: object) -> list[Settlement]:
        async with session.transaction() as connection:
            await connection.execute("SELECT 1")
            settles.set()
            while not may_end.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await may_end.wait()
        return []

    await invoices(site)
    await pay_many(site, 10)
    async with contextlib.AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(Proxy(site.amqp_url))
        with monkeypatch.context() as patch:
            patch.setattr("worker.pipeline.settle_batch", linger)
            await stack.enter_async_context(site.worker(**by_way_of(proxy, "broker")))
            async with asyncio.timeout(DEADLINE_S):
                await settles.wait()
        proxy.cut()
        events = await events_of(site, 10)
        may_end.set()

    await assert_each_booked_and_told_once(site, events, 10)
