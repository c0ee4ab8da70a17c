"""RabbitMQ runs out of memory and blocks whoever publishes: payments are booked on, and told when it has room again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from prometheus_client import REGISTRY

from deploy.servers import Servers
from tests.faults.oracle import assert_each_booked_and_told_once
from tests.faults.payments import events_of, invoices, pay_many
from tests.integration.command_line import CommandLine
from tests.places import Database, Vhost
from tests.site import Site, eventually, is_ready, is_waiting, open_site

PAYMENTS = 300


@pytest.fixture
async def site(own_database: Database, own_vhost: Vhost, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr("worker.broker.channel.PUBLISH_TIMEOUT_S", 1.0)
    async with open_site(own_database, own_vhost) as site:
        yield site


@asynccontextmanager
async def out_of_memory(servers: Servers) -> AsyncIterator[None]:
    await asyncio.to_thread(servers.broker.control, "set_vm_memory_high_watermark", "0")
    try:
        yield
    finally:
        await asyncio.to_thread(servers.broker.control, "set_vm_memory_high_watermark", "0.4")


async def are_booked(site: Site) -> bool:
    return bool(await site.database.fetchval(f"SELECT count(*) = {PAYMENTS} FROM payments"))


async def test_an_alarm_of_the_broker_delays_outcomes_and_blames_no_message(
    own_servers: Servers, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is stopped meanwhile ends in order, without a DeadlineError; one that stays goes on by itself."""
    await invoices(site)
    await pay_many(site, PAYMENTS)
    lost_before = connections_lost()
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as blocked, out_of_memory(own_servers):
            async with site.worker(batch_messages=20) as first:
                await eventually(lambda: are_booked(site))
                await eventually(lambda: is_waiting(first))
            second = await stack.enter_async_context(site.worker())
            await eventually(lambda: is_waiting(second))
            soon = blocked.enter_context(monkeypatch.context())  # what is opened from now on waits as long as it lasts
            soon.setattr("worker.broker.channel.CONNECT_TIMEOUT_S", 0.5)
            assert await site.database.fetchval("SELECT count(*) FROM outbox") == PAYMENTS
            assert site.is_quiet()
        events = await events_of(site, PAYMENTS)
        await eventually(lambda: is_ready(second))

    await assert_each_booked_and_told_once(site, events, PAYMENTS)
    assert not any(event.replayed for event in events)
    assert connections_lost() == lost_before, "one that is blocked is no lost one: nothing is delivered again for it"


async def test_doctor_tells_of_an_alarm(own_servers: Servers, site: Site) -> None:
    """It looks by publishing, and from a connection that did RabbitMQ reads nothing more."""
    async with out_of_memory(own_servers):
        looked = await CommandLine(site.amqp_url, site.database_url).run("doctor", "--json")
    assert looked.status == 0
    permissions = looked.json[-1]
    assert (permissions["check"], permissions["is_warning"]) == ("permissions", True)
    assert "short of memory or disk" in permissions["detail"]


def connections_lost() -> float:
    return REGISTRY.get_sample_value("payment_worker_outages_total", {"noticed_by": "connection"}) or 0
