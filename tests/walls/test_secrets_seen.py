"""Whoever looks on sees no password: in metrics, process list and servers, nor in what is left of a crash."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.servers import Servers
from deploy.servers.answers import ask_management
from tests.integration.command_line import CommandLine
from tests.over_http import get
from tests.places import Vhost
from tests.site import Site, eventually
from tests.walls.loud_worker import loud_worker
from tests.walls.secret import CORES, command_lines, found
from tests.walls.secretive import secretive_line


@pytest.fixture
async def line(site: Site, vhost: Vhost) -> AsyncIterator[CommandLine]:
    async with secretive_line(site, vhost) as line:
        yield line


TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name LIKE 'payment-worker%' AND datname = current_database()
"""


async def test_a_worker_shows_no_password_to_whoever_looks_on(site: Site, line: CommandLine, vhost: Vhost) -> None:
    async with loud_worker(line) as worker:
        port = json.loads(await worker.until('"started"'))["http_port"]
        await worker.until("taking messages")
        await site.pay(key="k1")
        await site.event_of("k1")
        seen = await looked_on(site, vhost, port)
        # Both servers send the worker away, and it comes back.
        await site.database.execute(TERMINATE)
        await site.pay(key="k2")
        await site.event_of("k2")
        await asyncio.to_thread(end_connections, vhost)
        await worker.until("taking messages", times=2)
        seen += await looked_on(site, vhost, port)
    assert "payment-worker registrations" in seen  # it was looked on while it was there
    assert "connection_name" in seen
    assert found(seen + worker.said, *CORES.values()) == []


ACTIVITY = "SELECT * FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def looked_on(site: Site, vhost: Vhost, port: int) -> str:
    """Return what anyone can see of the worker: over HTTP, in the process list, in both servers."""
    answers = [await asyncio.to_thread(get, port, path) for path in ("/metrics", "/readyz", "/livez")]
    assert all(status for status, _ in answers)
    seen = [text for _, text in answers]
    seen.append(await asyncio.to_thread(command_lines))
    seen += [str(tuple(row)) for row in await site.database.fetch(ACTIVITY)]

    async def are_listed() -> bool:
        return any("payment-worker" in str(each.get("client_properties")) for each in connections(vhost))

    await eventually(are_listed)
    return "\n".join([*seen, json.dumps(await asyncio.to_thread(connections, vhost))])


def connections(vhost: Vhost) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(ask_management(vhost.management_url, path="/api/connections"))
    return [each for each in listed if each.get("vhost") == vhost.name]


def end_connections(vhost: Vhost) -> None:
    of_the_worker = [
        each["name"] for each in connections(vhost) if "payment-worker" in str(each.get("client_properties"))
    ]
    ended = [vhost.end_connection(name) for name in of_the_worker]
    assert any(ended)


CRASHING = """
import asyncio, gc, logging, os, sys, threading
from worker.app import App
from worker.cli import main

def fail_now():
    url = os.environ["PAYMENT_WORKER_AMQP_URL"], os.environ["PAYMENT_WORKER_DATABASE_URL"]
    raise RuntimeError(f"cannot go on with {url}")

async def fail():
    fail_now()

class Falls:
    def __del__(self):
        fail_now()

async def run(self):
    task = asyncio.ensure_future(fail())
    asyncio.get_running_loop().call_soon(fail_now)
    await asyncio.wait([task])
    del task
    gc.collect()
    thread = threading.Thread(target=fail_now)
    thread.start()
    thread.join()
    Falls()
    logging.getLogger("x").error("cannot go on with %s", os.environ)
    logging.getLogger("x").error(f"cannot go on with {os.environ}")
    fail_now()

App.run = run
main(prog_name="payment-worker")
"""
"""A worker in which all fails that can."""


async def test_a_crash_is_a_line_that_names_the_place_and_says_no_more(line: CommandLine) -> None:
    async with loud_worker(line, sys.executable, "-c", CRASHING) as worker:
        await worker.ended()
    assert found(worker.said, *CORES.values()) == []
    assert "Traceback" not in worker.said
    *logged, last = worker.said.strip().splitlines()
    told = [json.loads(each) for each in logged]
    places = [each["where"] for each in told if each["event"] == "uncaught" and "RuntimeError at" in each["error"]]
    assert sorted(places) == ["in a destructor", "in a thread", "in the event loop", "in the event loop"]
    assert next(each["said"] for each in told if each.get("logger") == "x") == "cannot go on with %s"
    assert last.startswith("Error: unexpected RuntimeError in <string>:")


def test_servers_of_our_own_show_no_password_in_the_process_list(own_servers: Servers) -> None:
    listed = command_lines()
    assert "postgres" in listed
    for url in (own_servers.amqp_url, own_servers.database_url):
        assert found(listed, urlsplit(url).password or "") == []
