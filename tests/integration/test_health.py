"""What a probe and a scraper get."""

import asyncio

from deploy.servers.place import free_ports
from tests.over_http import get
from tests.site import Site, eventually
from worker.health import Health, HealthServer


async def test_a_worker_is_ready_once_it_takes_messages_and_counts_what_it_did(site: Site) -> None:
    port = next(free_ports())

    async def is_ready() -> bool:
        return (await asyncio.to_thread(get, port, "/readyz"))[0] == 200

    async with site.worker(http_port=port):
        await eventually(is_ready)
        await site.pay(key="k1")
        await site.next_event()
        live = await asyncio.to_thread(get, port, "/livez")
        metrics = await asyncio.to_thread(get, port, "/metrics")
        unknown = await asyncio.to_thread(get, port, "/else")

    assert live == (200, "alive\n")
    assert 'payment_worker_outcomes_total{status="NOT_FOUND"}' in metrics[1]
    assert unknown[0] == 404


def test_a_worker_that_waits_says_for_what() -> None:
    health = Health(waiting_for=lambda: ["RabbitMQ", "Postgres"])
    with HealthServer(health, "127.0.0.1", 0) as server:
        assert get(server.port, "/readyz") == (503, "waiting for RabbitMQ, Postgres\n")
        assert get(server.port, "/livez")[0] == 200
        health.last_beat -= 3600
        assert get(server.port, "/livez")[0] == 503
