"""Three RabbitMQ nodes under load: any one may go, and the workers go on through the others at once."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import pytest

from deploy.servers import Servers, Unavailable
from deploy.servers.containers import reach_engine
from schemas.catalog import REGISTRATIONS_QUEUE
from tests.faults.cluster import NODES, Cluster, Node, new_cluster
from tests.faults.drill import (
    LEDGER,
    Upstream,
    assert_nothing_lost_or_doubled,
    has_booked,
    set_up,
    until_all_is_told,
    worker,
)
from tests.places import Database, Vhost, new_vhost
from tests.site import eventually, is_ready

BLOWS: dict[str, tuple[Callable[[Node], None], Callable[[Node], None]]] = {
    "killed": (lambda node: node.server.kill(), lambda node: node.server.start()),
    "cut off from all others": (Node.cut_off, Node.come_back),
    "drained for an upgrade": (Node.drain, Node.revive),
}
ROUNDS = 2
PAYMENTS_A_ROUND = 600
BOOKED_BEFORE_A_BLOW = 50


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        reach_engine().close()
    except Unavailable as error:
        pytest.skip(f"three RabbitMQ nodes take Docker, and {error}")
    with new_cluster() as cluster:
        yield cluster


@pytest.fixture
def vhost(servers: Servers, cluster: Cluster) -> Iterator[Vhost]:
    cluster.await_whole()
    first = cluster.nodes[0]
    with new_vhost(replace(servers, amqp_url=first.amqp_url, management_url=first.management_url)) as vhost:
        yield vhost


@pytest.fixture
def urls(cluster: Cluster, vhost: Vhost) -> list[str]:
    """Of the vhost, on each node."""
    return [urlunsplit(urlsplit(node.amqp_url)._replace(path=f"/{vhost.name}")) for node in cluster.nodes]


@pytest.mark.parametrize("blow", BLOWS)
async def test_when_the_leader_s_node_is_gone_all_goes_on_without_it(
    cluster: Cluster, database: Database, vhost: Vhost, urls: list[str], blow: str
) -> None:
    strike, mend = BLOWS[blow]
    await set_up(database, urls[0])
    for queue in (REGISTRATIONS_QUEUE, LEDGER):
        assert sorted(cluster.queue(vhost.name, queue)["members"]) == NODES
    upstream = Upstream(urls)

    async with worker(database, ",".join(urls)) as first, worker(database, ",".join(urls)) as second:
        for _ in range(ROUNDS):
            await asyncio.to_thread(cluster.await_whole)
            await eventually(lambda: is_ready(first, second))
            enough = upstream.asked + BOOKED_BEFORE_A_BLOW
            paying = asyncio.create_task(upstream.pay(PAYMENTS_A_ROUND))
            await eventually(partial(has_booked, database, enough))
            leader = await asyncio.to_thread(cluster.leader_of, vhost.name, REGISTRATIONS_QUEUE)
            await asyncio.to_thread(strike, leader)
            await paying
            await until_all_is_told(database, upstream.asked)
            await asyncio.to_thread(mend, leader)

    await asyncio.to_thread(cluster.await_whole)
    await assert_nothing_lost_or_doubled(database, urls[0], ROUNDS * PAYMENTS_A_ROUND)


async def test_a_queue_whose_leader_moves_under_load_loses_and_doubles_nothing(
    cluster: Cluster, database: Database, vhost: Vhost, urls: list[str]
) -> None:
    await set_up(database, urls[0])
    upstream = Upstream(urls)

    async with worker(database, ",".join(urls)), worker(database, ",".join(urls)):
        for node in reversed(cluster.nodes):
            paying = asyncio.create_task(upstream.pay(PAYMENTS_A_ROUND))
            for queue in (REGISTRATIONS_QUEUE, LEDGER):
                await asyncio.to_thread(node.lead, vhost.name, queue)
            await paying
        await until_all_is_told(database, upstream.asked)

    await assert_nothing_lost_or_doubled(database, urls[0], upstream.asked)
