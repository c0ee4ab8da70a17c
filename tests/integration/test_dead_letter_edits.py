"""`payment-worker dead-letters edit`: a letter is mended and replayed, and what it was before is kept."""

import gzip
import json
from pathlib import Path

import pytest

from tests.integration.command_line import CommandLine
from tests.integration.letters import is_in_state, letters, replay, shown, three_letters
from tests.integration.raw_publish import publish_raw
from tests.site import ROPO, Site


@pytest.fixture
def line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


async def test_a_mended_letter_is_replayed_booked_once_and_resolved(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    await three_letters(site)
    body = tmp_path / "body.json"
    body.write_text(json.dumps(ROPO))
    await line.succeed("dead-letters", "edit", "1", "--body", body, "--by", "ann", "--why", "a brace too few")
    assert await replay(line, "1", "--by", "bob") == [1]
    async with site.worker():
        await site.put()
        await is_in_state(site, "resolved", 1)
        assert await replay(line, "--all") == [2, 3]
        await is_in_state(site, "open", 2, 3)
    assert (await site.next_event()).body["idempotency_key"] == "k1"
    letter = await shown(line, 1)
    actions = [(action["action"], action["actor"], action["why"]) for action in letter["actions"]]
    assert actions == [
        ("edited", "ann", "a brace too few"),
        ("replayed", "bob", None),
        ("resolved", "payment-worker", "the replayed message was processed"),
    ]
    assert (letter["actions"][0]["body_before"], letter["body"]) == ("{1", body.read_text())
    assert [(row["count"], row["state"]) for row in await letters(line)] == [(2, "open"), (2, "open"), (1, "resolved")]
    assert "is resolved" in await line.fail("dead-letters", "replay", "1")
    assert "is resolved" in await line.fail("dead-letters", "edit", "1", "--body", body)


async def test_an_edited_letter_that_fails_again_is_still_one_letter(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    await three_letters(site)
    body = tmp_path / "body.json"
    body.write_bytes(b"still none")
    await line.succeed("dead-letters", "edit", "1", "--body", body)
    await replay(line, "1")
    async with site.worker():
        await is_in_state(site, "open", 1)
    assert [(letter["id"], letter["count"]) for letter in await letters(line)] == [(3, 1), (2, 1), (1, 2)]


async def test_an_edit_cannot_make_two_letters_the_same_message(site: Site, line: CommandLine, tmp_path: Path) -> None:
    async with site.worker():
        for body in (b"{1", b"{2"):
            await site.pay(body, key="k1")
        await site.dead_letters(2)
    path = tmp_path / "body"
    path.write_bytes((await shown(line, 1))["body"].encode())
    assert "another dead letter already" in await line.fail("dead-letters", "edit", "2", "--body", path)
    path.write_bytes(b"")
    assert "1 to" in await line.fail("dead-letters", "edit", "2", "--body", path)
    assert (await shown(line, 2))["actions"] == []


async def test_a_letter_without_a_key_is_given_one_and_booked_under_it(site: Site, line: CommandLine) -> None:
    async with site.worker():
        await site.put()
        await publish_raw(site, b"registration.acme")
        await site.dead_letters(1)
        assert [letter["reason"] for letter in await letters(line)] == ["missing_idempotency_key"]
        await line.succeed("dead-letters", "edit", "1", "--idempotency-key", "bank-42", "--why", "line 42")
        assert [letter["idempotency_key"] for letter in await letters(line)] == ["bank-42"]
        await replay(line, "1")
        await is_in_state(site, "resolved", 1)
    outcome = (await site.next_event()).body
    assert (outcome["idempotency_key"], outcome["reason"]) == ("bank-42", "booked")
    letter = await shown(line, 1)
    edited = letter["actions"][0]
    assert letter["properties"] == edited["properties_before"] | {"headers": {"idempotency-key": "bank-42"}}
    assert "body_before" not in edited


async def test_a_letter_of_an_unknown_type_is_booked_as_what_it_is(site: Site, line: CommandLine) -> None:
    async with site.worker():
        await site.put()
        await site.pay(key="k1", type="ropo.payment")
        await site.dead_letters(1)
        await line.succeed("dead-letters", "edit", "1", "--type", "ropo.payment.v1")
        assert [letter["type"] for letter in await letters(line)] == ["ropo.payment.v1"]
        await replay(line, "1")
        await is_in_state(site, "resolved", 1)
    assert (await site.next_event()).body["reason"] == "booked"
    (edited, *_) = (await shown(line, 1))["actions"]
    assert edited["properties_before"]["message_type"] == "ropo.payment"


async def test_a_compressed_letter_of_another_content_type_is_booked_once_it_is_plain_json(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    plain = json.dumps(ROPO).encode()
    body = tmp_path / "body.json"
    body.write_bytes(plain)
    async with site.worker():
        await site.put()
        await site.pay(gzip.compress(plain), key="k1", content_type="text/xml", content_encoding="gzip")
        await site.dead_letters(1)
        await line.succeed("dead-letters", "edit", "1", "--body", body, "--content-json")
        await replay(line, "1")
        await is_in_state(site, "resolved", 1)
    assert (await site.next_event()).body["reason"] == "booked"
    (edited, *_) = (await shown(line, 1))["actions"]
    before = edited["properties_before"]
    assert (before["content_type"], before["content_encoding"]) == ("text/xml", "gzip")
    assert edited["body_encoding_before"] == "base64"


async def test_a_letter_with_a_new_key_that_fails_again_is_still_one_letter(site: Site, line: CommandLine) -> None:
    async with site.worker():
        await site.pay(b"{", key="k1")
        await site.dead_letters(1)
        await line.succeed("dead-letters", "edit", "1", "--idempotency-key", "k2", "--type", "ivvy.add-payment.v1")
        await replay(line, "1")
        await is_in_state(site, "open", 1)
    assert [(letter["idempotency_key"], letter["count"]) for letter in await letters(line)] == [("k2", 2)]


async def test_a_token_goes_where_a_letter_becomes_a_payment_that_may_hold_one(site: Site, line: CommandLine) -> None:
    async with site.worker():
        await site.pay(b'{"token": "secret-token", ', key="k1", type="ropo.payment.v1")
        await site.dead_letters(1)
    await line.succeed("dead-letters", "edit", "1", "--type", "crm-com.pay-invoice.v1")
    assert "secret-token" not in (await shown(line, 1))["body"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say what is to be new"),
        (("--type", "ropo"), "'ropo' is not one of"),
        (("--idempotency-key", " "), "must be text of 1 to 255 characters"),
        (("--idempotency-key", "k" * 256), "must be text of 1 to 255 characters"),
    ],
)
async def test_an_edit_that_says_nothing_or_nonsense_is_wrong_use(
    line: CommandLine, arguments: tuple[str, ...], told: str
) -> None:
    result = await line.run("dead-letters", "edit", "1", *arguments)
    assert result.status == 2
    assert told in result.stderr
