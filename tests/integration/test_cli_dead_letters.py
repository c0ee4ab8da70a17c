"""`payment-worker dead-letters`: what ops sees, replays and discards; nothing is lost or booked twice."""

import asyncio
import base64
import json

import pytest

from schemas import catalog
from tests.integration.command_line import CommandLine
from tests.integration.letters import letters, replay, shown, three_letters
from tests.site import WAITS_FOR_A_LOCK, Site, eventually
from worker.books.dead_letters import Deed, lock_dead_letters, mark_dead_letters, resolve_dead_letters
from worker.books.session import Session
from worker.broker.connection import connect
from worker.broker.delivery import DEAD_LETTER_ID_HEADER
from worker.broker.publisher import Publisher
from worker.broker.topology import RETRY_RETURN
from worker.cli.replay import Replayed, replay_letters


@pytest.fixture
def line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


async def test_letters_are_listed_the_newest_first_and_by_filter(site: Site, line: CommandLine) -> None:
    await three_letters(site)
    found = await letters(line)
    assert [letter["id"] for letter in found] == [3, 2, 1]
    assert set(found[0]) == {
        *("id", "reason", "company", "idempotency_key", "type"),
        *("error", "first_seen", "last_seen", "count", "state"),
    }
    assert {name: found[1][name] for name in ("reason", "company", "idempotency_key", "type", "count", "state")} == {
        "reason": "malformed_json",
        "company": "other",
        "idempotency_key": "k2",
        "type": "ropo.payment.v1",
        "count": 1,
        "state": "open",
    }

    async def ids(*arguments: str) -> list[int]:
        return [letter["id"] for letter in await letters(line, *arguments)]

    assert await ids("--reason", "malformed_json") == [2, 1]
    assert await ids("--company", "acme") == [1]
    assert await ids("--state", "resolved") == []
    assert await ids("--limit", "1") == [3]
    table = (await line.succeed("dead-letters", "list")).stdout
    assert [row.split()[0] for row in table.splitlines()] == ["id", "3", "2", "1"]


async def test_groups_count_what_has_reason_company_and_type_in_common(site: Site, line: CommandLine) -> None:
    await three_letters(site)
    async with site.worker():
        await site.pay(b"{2", key="k4")
        await site.dead_letters(4)
    groups = (await line.succeed("dead-letters", "groups", "--json")).json
    assert [(group["reason"], group["company"], group["type"], group["count"]) for group in groups] == [
        ("malformed_json", "acme", None, 2),
        ("malformed_json", "other", "ropo.payment.v1", 1),
        ("unknown_company", "unknown", None, 1),
    ]
    assert await replay(line, "--group", groups[0]["group"]) == [1, 4]


async def test_a_letter_is_shown_whole_whatever_its_bytes(site: Site, line: CommandLine) -> None:
    await three_letters(site)
    text, binary = await shown(line, 1), await shown(line, 2)
    assert (text["body"], text["body_encoding"], text["routing_key"]) == ("{1", "utf-8", "registration.acme")
    assert (base64.b64decode(binary["body"]), binary["body_encoding"]) == (b"\xff", "base64")
    assert binary["properties"]["headers"] == {"b": {"$bytes": "/w=="}}
    assert text["actions"] == []


async def test_a_replay_is_the_same_message_with_the_letters_id(site: Site, line: CommandLine) -> None:
    await three_letters(site)
    assert await replay(line, "2") == [2]
    queue = await site.channel.declare_queue(catalog.REGISTRATIONS_QUEUE, passive=True)
    message = await queue.get(no_ack=True)
    assert message is not None
    assert (message.body, message.routing_key, message.message_id, message.type) == (
        b"\xff",
        "registration.other",
        "k2",
        "ropo.payment.v1",
    )
    headers = {name: value for name, value in message.headers.items() if name != "x-delivery-count"}
    aside = "payment-worker-original-delivery_mode"
    assert headers == {"b": bytearray(b"\xff"), DEAD_LETTER_ID_HEADER: 2, aside: 1}
    assert message.delivery_mode == 2
    assert (await shown(line, 2))["properties"]["delivery_mode"] == 1


async def test_what_is_replayed_already_is_replayed_again_only_by_its_id(site: Site, line: CommandLine) -> None:
    await three_letters(site)
    assert (await line.succeed("dead-letters", "replay", "--all", "--dry-run", "--json")).json == {
        "would_replay": [1, 2, 3]
    }
    assert await replay(line, "--reason", "malformed_json") == [1, 2]
    assert await replay(line, "--all") == [3]
    assert (await line.succeed("dead-letters", "replay", "--all", "--dry-run", "--json")).json == {"would_replay": []}
    assert await replay(line, "--all") == []
    assert await replay(line, "2") == [2]


async def test_a_letter_that_somebody_dealt_with_since_it_was_chosen_is_left_alone(site: Site) -> None:
    await three_letters(site)
    await site.database.execute("UPDATE dead_letters SET state = 'discarded' WHERE id = 1")
    replayed = Replayed()
    async with Session(site.database_url, "test") as session, await connect(site.amqp_url, "test") as connection:
        publisher = Publisher(connection)
        deed = Deed("replayed", "ann", None)
        await replay_letters(session, publisher, [1, 2], ("open",), deed, replayed, lambda _done, _count: None)
    assert replayed.ids == [2]


async def test_a_replay_that_no_queue_takes_leaves_the_letter_open(site: Site, line: CommandLine) -> None:
    await three_letters(site)
    queue = await site.channel.declare_queue(catalog.REGISTRATIONS_QUEUE, passive=True)
    await queue.unbind(RETRY_RETURN, "registration.*")
    result = await line.run("dead-letters", "replay", "--all", "--json")
    assert result.status == 1
    assert result.json == {"replayed": [], "failed": [1, 2, 3]}
    assert "payment-worker setup" in result.stderr
    assert {letter["state"] for letter in await letters(line)} == {"open"}
    assert (await shown(line, 1))["actions"] == []


async def test_a_letter_whose_properties_cannot_be_published_does_not_hold_up_the_others(
    site: Site, line: CommandLine
) -> None:
    await three_letters(site)
    unpublishable = json.dumps({"message_id": {"$bytes": "/w=="}})
    await site.database.execute("UPDATE dead_letters SET properties = $1 WHERE id = 2", unpublishable)
    result = await line.run("dead-letters", "replay", "--all", "--json")
    assert result.status == 1
    assert result.json == {"replayed": [1, 3], "failed": [2]}


async def test_letters_are_discarded_all_or_none(site: Site, line: CommandLine) -> None:
    await three_letters(site)
    assert "no dead letter 9" in await line.fail("dead-letters", "discard", "1", "9")
    assert [letter["state"] for letter in await letters(line)] == ["open"] * 3
    await line.succeed("dead-letters", "discard", "1", "2", "1", "--by", "ann", "--why", "a test of theirs")
    assert [letter["state"] for letter in await letters(line)] == ["open", "discarded", "discarded"]
    assert "is discarded" in await line.fail("dead-letters", "discard", "1", "3")
    (action,) = (await shown(line, 1))["actions"]
    assert (action["action"], action["actor"], action["why"]) == ("discarded", "ann", "a test of theirs")
    assert await replay(line, "--all") == [3]
    assert await replay(line, "1") == [1]


async def test_a_company_cannot_resolve_the_letter_of_another(site: Site, line: CommandLine) -> None:
    """The letter's id travels in a header, which any upstream can set."""
    await three_letters(site)
    assert await replay(line, "1") == [1]
    async with Session(site.database_url, "worker") as session, session.transaction() as connection:
        await resolve_dead_letters(connection, [(1, "other")])

    assert (await shown(line, 1))["state"] == "replayed"


@pytest.mark.usefixtures("patient_locks")
async def test_a_worker_faster_than_the_replays_own_commit_still_resolves_the_letter(site: Site) -> None:
    await three_letters(site)
    async with Session(site.database_url, "replay") as ops, Session(site.database_url, "worker") as worker:
        async with ops.transaction() as replaying:
            await lock_dead_letters(replaying, [1])

            async def resolve() -> None:
                async with worker.transaction() as connection:
                    await resolve_dead_letters(connection, [(1, "acme")])

            resolving = asyncio.create_task(resolve())
            await eventually(lambda: site.database.fetchval(WAITS_FOR_A_LOCK))
            await mark_dead_letters(replaying, [1], "replayed", Deed("replayed", "ann", None))
        await resolving
    assert await site.database.fetchval("SELECT state FROM dead_letters WHERE id = 1") == "resolved"


async def test_hostile_text_of_a_letter_reaches_no_terminal(site: Site, line: CommandLine) -> None:
    async with site.worker():
        await site.pay(b"\x1b]0;pwned\x07", key="\x1b[2J", type="[bold red]\x9b31m")
        await site.dead_letters(1)
    for command in (("list",), ("groups",), ("show", "1")):
        output = (await line.succeed("dead-letters", *command)).stdout
        assert not set("\x1b\x9b\x07") & set(output)
    assert "[bold red]" in (await line.succeed("dead-letters", "list")).stdout
