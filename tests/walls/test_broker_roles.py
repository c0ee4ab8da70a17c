"""The main job with each taking part as its own user, by the commands that they use."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr

from deploy.servers import Servers
from schemas import catalog
from tests.integration.command_line import CommandLine
from tests.places import Database, new_vhost
from tests.site import DEADLINE_S, ROPO, Site, eventually, open_site
from tests.walls.broker_walls import Walls, new_walls


@pytest.fixture(scope="module")
def walls(servers: Servers) -> Iterator[Walls]:
    with new_vhost(servers) as vhost, new_walls(vhost) as walls:
        yield walls


class Roles:
    """The walls, the books behind them, and a command line for each role."""

    def __init__(self, walls: Walls, site: Site) -> None:
        self.walls = walls
        self.site = site
        self.companies = walls.companies

    def line(self, role: str) -> CommandLine:
        return CommandLine(self.walls.url_of(role), self.site.database_url)

    async def follow(self, role: str, *arguments: str) -> asyncio.subprocess.Process:
        """Return a follower that has bound its queue."""
        process = await self.line(role).start("outcomes", "follow", "--json", *arguments)
        assert process.stderr is not None
        async with asyncio.timeout(DEADLINE_S):
            assert b"following" in await process.stderr.readline()
        return process


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    """A file with one payment."""
    file = tmp_path / "payments.json"
    file.write_text(json.dumps(ROPO))
    return file


@pytest.fixture
async def roles(walls: Walls, database: Database) -> AsyncIterator[Roles]:
    async with open_site(database, walls.vhost) as site:
        for company in vars(walls.companies).values():
            await site.policy(company)
        async with site.worker(amqp_url=SecretStr(walls.url_of("worker"))):
            yield Roles(walls, site)


async def outcome_of(follower: asyncio.subprocess.Process, line: CommandLine) -> dict[str, Any]:
    result = await line.end(follower)
    assert result.status == 0, result.stderr
    outcome: dict[str, Any] = json.loads(result.stdout)
    return outcome


async def test_each_does_its_part_of_the_main_job_as_its_own_user(roles: Roles, payments: Path) -> None:
    a, upstream = roles.companies.a, roles.line("upstream.a")
    await roles.line("setup").succeed("setup")
    put = json.dumps({"billcode": "1234567", "capital": "710.00", "version": 1}).encode()
    await upstream.succeed("publish", "-", "--company", a, "--type", catalog.INVOICE_PUT, stdin=put)
    follower = await roles.follow("downstream.a", "--company", a, "--count", "1")
    durable = ("--company", a, "--count", "1", "--queue", f"outcomes.{a}.ledger")
    ledger = await roles.follow("downstream.a", *durable)
    watcher = await roles.follow("ops", "--count", "1")
    of_company = await roles.follow("ops", "--company", a, "--count", "1")

    async def is_stated() -> bool:
        return bool(await roles.site.database.fetchval("SELECT count(*) FROM invoices"))

    await eventually(is_stated)
    await upstream.succeed("publish", payments, "--company", a)
    for each, role in (
        (follower, "downstream.a"),
        (ledger, "downstream.a"),
        (watcher, "ops"),
        (of_company, "ops"),
    ):
        outcome = await outcome_of(each, roles.line(role))
        assert (outcome["company"], outcome["status"], outcome["focusedtocapital"]) == (a, "OHISPAY", "710.00")
    ledger = await roles.follow("downstream.a", *durable)
    resent = await roles.line("ops").succeed("outcomes", "resend", "--company", a, "--since", "2026-01-01", "--json")
    assert resent.json == {"resent": 1, "unrouted": 0}
    assert (await outcome_of(ledger, roles.line("downstream.a")))["replayed"] is True


async def test_ops_replays_what_was_refused(roles: Roles, payments: Path) -> None:
    wrong = json.dumps(ROPO | {"amount": "seven"}).encode()
    await roles.line("upstream.a").succeed("publish", "-", "--company", roles.companies.a, stdin=wrong)
    (letter,) = await roles.site.dead_letters(1)
    await roles.line("ops").succeed("dead-letters", "edit", str(letter["id"]), "--body", payments)
    await roles.line("ops").succeed("dead-letters", "replay", str(letter["id"]))
    assert [event.body["reason"] for event in await roles.site.events(2)] == ["invalid", "invoice_not_found"]


async def test_doctor_is_content_with_the_users_who_need_it(roles: Roles) -> None:
    for role, detail in (
        ("worker", "not this user's to check"),
        ("ops", "not this user's"),
        ("setup", "as they should"),
    ):
        checks = (await roles.line(role).run("doctor", "--json")).json
        (topology,) = [check for check in checks if check["check"] == "topology"]
        assert topology["ok"]
        assert detail in topology["detail"]
        warned = any(check["is_warning"] for check in checks if check["check"] == "permissions")
        assert warned == (role != "worker")


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("upstream.a", ("publish", "{file}", "--company", "{aa}")),
        ("downstream.a", ("outcomes", "follow", "--company", "{aa}", "--count", "1")),
        ("downstream.a", ("outcomes", "follow", "--company", "{aa}", "--queue", "outcomes.{a}.x", "--count", "1")),
        ("worker", ("setup",)),
    ],
)
async def test_a_command_without_the_right_says_so_in_one_line(
    walls: Walls, database: Database, payments: Path, role: str, command: tuple[str, ...]
) -> None:
    line = CommandLine(walls.url_of(role), database.url)
    said = await line.fail(*(walls.named(each.replace("{file}", str(payments))) for each in command))
    assert "ACCESS_REFUSED" in said
    assert said.endswith("the user's permissions")


async def test_an_upstream_without_a_queue_gets_its_answer(roles: Roles) -> None:
    a = roles.companies.a
    async with await aio_pika.connect(roles.walls.url_of("upstream.a")) as connection:
        channel = await connection.channel()
        answers: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        waiting = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
        await waiting.consume(answers.put, no_ack=True)
        payments = await channel.get_exchange(catalog.PAYMENTS, ensure=False)
        asked = aio_pika.Message(
            json.dumps(ROPO).encode(),
            message_id="k",
            reply_to="amq.rabbitmq.reply-to",
            user_id=roles.walls.named("upstream.{a}"),
        )
        await payments.publish(asked, f"registration.{a}")
        async with asyncio.timeout(DEADLINE_S):
            answer = json.loads((await answers.get()).body)
    assert (answer["company"], answer["status"]) == (a, "NOT_FOUND")


async def test_nobody_has_answers_sent_to_another_companys_queue(roles: Roles) -> None:
    a, ab = roles.companies.a, roles.companies.ab
    queues = {company: await roles.site.channel.declare_queue(f"outcomes.{company}.answers") for company in (a, ab)}
    for company, key in ((ab, "k1"), (a, "k2")):
        await roles.site.pay(key=key, company=a, reply_to=queues[company].name)
        assert (await roles.site.event_of(key)).body["status"] == "NOT_FOUND"
    answer = None
    async with asyncio.timeout(DEADLINE_S):
        while answer is None:
            answer = await queues[a].get(fail=False, no_ack=True)
    assert json.loads(answer.body)["idempotency_key"] == "k2"
    assert await queues[ab].get(fail=False) is None
