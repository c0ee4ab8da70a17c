"""A message whose sender the broker vouches for counts for that sender's company alone, whatever permissions say."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from pamqp.commands import Basic

from deploy.servers.answers import ask_management
from schemas import catalog
from tests.integration.command_line import CommandLine
from tests.places import Vhost
from tests.site import ROPO, Site, eventually
from worker.broker.properties import believed, copied, restored, sender
from worker.broker.topology import RETRY_RETURN

ASIDE = "payment-worker-original-user_id"
PUT = {"billcode": "1234567", "capital": "710.00", "version": 1}


@dataclass
class Scene:
    """A company with a name that no other test has, and users who may publish anything: no permission holds them."""

    site: Site
    vhost: Vhost
    company: str
    stack: AsyncExitStack
    channels: dict[str, AbstractChannel]

    @property
    def own(self) -> str:
        return f"upstream.{self.company}"

    @property
    def foreign(self) -> str:
        return f"upstream.{self.company}x"

    @property
    def bank(self) -> str:
        return f"bank-{self.company}"

    async def send(
        self,
        user: str,
        body: object = ROPO,
        *,
        topic: str = "registration",
        exchange: str = "payments",
        more: str = "",
        **properties: Any,
    ) -> None:
        """Publish on a connection of the user's."""
        if user not in self.channels:
            connection = await self.stack.enter_async_context(await aio_pika.connect(self._new_user(user)))
            self.channels[user] = await connection.channel()
        message = aio_pika.Message(json.dumps(body).encode(), **properties)
        to = await self.channels[user].get_exchange(exchange, ensure=False)
        await to.publish(message, f"{topic}.{self.company}{more}")

    async def refused(self, letter_count: int = 1, *, times: int = 1) -> Any:
        """Return the newest letter, once so many have been filed and that one so often; it is refused for its user."""
        letter = (await self.site.dead_letters(letter_count))[-1]

        async def is_counted() -> bool:
            sql = "SELECT count = $2 FROM dead_letters WHERE id = $1"
            return bool(await self.site.database.fetchval(sql, letter["id"], times))

        await eventually(is_counted)
        letter = (await self.site.dead_letters(letter_count))[-1]
        assert (letter["reason"], letter["company"], letter["state"]) == ("invalid", self.company, "open")
        assert [error["field"] for error in json.loads(letter["errors"])] == ["user_id"]
        return letter

    async def nothing_happened(self) -> bool:
        """Say that the company has heard of nothing and nothing of it has moved."""
        rows = await self.site.database.fetchval(
            "SELECT (SELECT count(*) FROM payments) + (SELECT count(*) FROM outbox)"
        )
        open_amount = await self.site.database.fetchval("SELECT sum(capital) FROM invoices")
        return rows == 0 and open_amount == 71000 and self.site.is_quiet()

    def _new_user(self, user: str) -> str:
        url = self.vhost.management_url
        self.stack.callback(ask_management, url, "DELETE", f"/api/users/{user}")
        ask_management(url, "PUT", f"/api/users/{user}", b'{"password": "p", "tags": ""}')
        everything = b'{"configure": ".*", "write": ".*", "read": ".*"}'
        ask_management(url, "PUT", f"/api/permissions/{quote(self.vhost.name, safe='')}/{user}", everything)
        parts = urlsplit(self.vhost.amqp_url)
        return urlunsplit(parts._replace(netloc=f"{user}:p@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
async def scene(vhost: Vhost, site: Site) -> AsyncIterator[Scene]:
    company = f"c{secrets.token_hex(4)}"
    await site.policy(company)
    async with AsyncExitStack() as stack, site.worker():
        await site.put(company)
        yield Scene(site, vhost, company, stack, {})


async def test_nothing_of_a_company_moves_at_the_word_of_anothers_user(scene: Scene) -> None:
    await scene.send(scene.foreign, message_id="k", user_id=scene.foreign)
    letter = await scene.refused()
    assert json.loads(letter["properties"])["user_id"] == scene.foreign
    stated = PUT | {"capital": "1.00", "version": 2}
    await scene.send(scene.foreign, stated, topic="invoice", type=catalog.INVOICE_PUT, user_id=scene.foreign)
    await scene.refused(2)
    assert await scene.nothing_happened()
    # The key is still free for the company itself.
    await scene.send(scene.own, message_id="k", user_id=scene.own)
    assert (await scene.site.event_of("k")).body["status"] == "OHISPAY"


async def test_a_service_that_publishes_for_many_is_heard(scene: Scene) -> None:
    await scene.send(scene.bank, message_id="k", user_id=scene.bank)
    assert (await scene.site.event_of("k")).body["status"] == "OHISPAY"


async def test_a_made_up_header_makes_nobody_another(scene: Scene) -> None:
    await scene.send(scene.foreign, message_id="k", user_id=scene.foreign, headers={ASIDE: scene.own})
    letter = await scene.refused()
    assert json.loads(letter["properties"])["user_id"] == scene.foreign
    assert await scene.nothing_happened()


async def test_a_made_up_header_puts_the_blame_on_nobody(scene: Scene) -> None:
    await scene.send(scene.bank, {"no": "payment"}, headers={ASIDE: scene.own})
    (letter,) = await scene.site.dead_letters(1)
    properties = json.loads(letter["properties"])
    assert scene.own not in letter["properties"]
    assert "user_id" not in properties


async def test_nor_does_it_where_the_broker_itself_moves_the_message(scene: Scene) -> None:
    # With such a routing key no client could publish it.
    await scene.send(scene.bank, more="\x01", headers={ASIDE: scene.own})
    (letter,) = await scene.site.dead_letters(1)
    assert letter["reason"] == "unknown_company"
    assert "upstream" not in letter["properties"]


async def test_a_copy_that_waited_for_its_next_try_is_still_its_senders(scene: Scene) -> None:
    await scene.send(scene.bank, exchange=RETRY_RETURN, message_id="k", headers={ASIDE: scene.foreign})
    await scene.refused()
    assert await scene.nothing_happened()


async def test_a_replay_is_refused_again_and_an_edit_does_not_change_who_sent_it(scene: Scene, tmp_path: Path) -> None:
    line = CommandLine(scene.site.amqp_url, scene.site.database_url)
    await scene.send(scene.foreign, message_id="k", user_id=scene.foreign)
    letter = await scene.refused()
    await line.succeed("dead-letters", "replay", str(letter["id"]))
    await scene.refused(times=2)
    body = tmp_path / "body.json"
    body.write_text(json.dumps(ROPO | {"amount": "1.00"}))
    await line.succeed("dead-letters", "edit", str(letter["id"]), "--body", body)
    await line.succeed("dead-letters", "replay", str(letter["id"]))
    edited = await scene.refused(times=3)
    assert json.loads(edited["properties"])["user_id"] == scene.foreign
    assert await scene.nothing_happened()


def test_only_what_came_by_way_of_a_copy_tells_whose_copy_it_is() -> None:
    original = Basic.Properties(user_id="upstream.a", headers={"own": 1})
    assert sender(original) == "upstream.a"
    copy = copied(original, {})
    assert copy.user_id is None  # the broker would refuse another user's
    for exchange in (RETRY_RETURN, catalog.DEAD_LETTER):
        came = believed(copy, exchange)
        assert sender(came) == "upstream.a"
        assert restored(came).user_id == "upstream.a"
        assert sender(believed(copied(came, {}), exchange)) == "upstream.a"  # of a copy's copy too
    for elsewhere in (catalog.PAYMENTS, "", None):
        assert sender(believed(copy, elsewhere)) is None
        assert sender(believed(original, elsewhere)) == "upstream.a"
    assert (believed(copy, catalog.PAYMENTS).headers or {})["own"] == 1


def test_what_the_broker_vouches_for_goes_before_what_was_kept_aside() -> None:
    both = Basic.Properties(user_id="upstream.a", headers={ASIDE: "upstream.b"})
    assert sender(both) == "upstream.a"
    assert restored(both).user_id == "upstream.a"
