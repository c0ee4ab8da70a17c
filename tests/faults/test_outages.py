"""A server is killed under load and comes back: the workers wait, go on, and nothing is lost or doubled."""

import asyncio
from functools import partial

import pytest

from deploy.servers import Servers
from deploy.servers.servers import Server
from tests.faults.drill import (
    Upstream,
    assert_nothing_lost_or_doubled,
    has_booked,
    set_up,
    until_all_is_told,
    worker,
)
from tests.places import Database, Vhost
from tests.site import eventually, is_not_ready, is_ready

KILLS = 2
PAYMENTS_A_KILL = 600
BOOKED_BEFORE_A_KILL = 50


@pytest.mark.parametrize("which", ["broker", "database"])
async def test_a_server_killed_again_and_again_under_load_costs_nothing_but_time(
    own_servers: Servers, own_database: Database, own_vhost: Vhost, which: str
) -> None:
    server: Server = getattr(own_servers, which)
    await set_up(own_database, own_vhost.amqp_url)
    # RabbitMQ answers a declaration up to a second before it saves the queue's name (ra's names.dets, by a timer). A
    # single node killed in that second comes back with an empty queue that elects no leader. An orderly end saves it.
    await asyncio.to_thread(own_servers.broker.restart)
    upstream = Upstream([own_vhost.amqp_url])

    async with worker(own_database, own_vhost.amqp_url) as first, worker(own_database, own_vhost.amqp_url) as second:
        for _ in range(KILLS):
            await eventually(lambda: is_ready(first, second))
            enough = upstream.asked + BOOKED_BEFORE_A_KILL
            paying = asyncio.create_task(upstream.pay(PAYMENTS_A_KILL))
            await eventually(partial(has_booked, own_database, enough))
            await asyncio.to_thread(server.kill)
            await eventually(lambda: is_not_ready(first, second))
            await asyncio.to_thread(server.start)
            await paying
        await until_all_is_told(own_database, upstream.asked)

    await assert_nothing_lost_or_doubled(own_database, own_vhost.amqp_url, KILLS * PAYMENTS_A_KILL)
