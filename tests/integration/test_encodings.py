"""Databases of another encoding than UTF8: those that hold every text work, others are refused before use."""

from collections.abc import Iterator

import pytest

from deploy.servers import Servers
from schemas import catalog
from schemas.limits import IDEMPOTENCY_KEY_CHARS_MAX, TEXT_CHARS_MAX
from tests.integration.command_line import CommandLine
from tests.places import Database, Vhost, database_url, new_database
from tests.site import ROPO, open_site

WIDE = "\N{MATHEMATICAL SCRIPT CAPITAL A}"
"""A character of four bytes."""


@pytest.fixture
def encoded(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database of the encoding that the test names."""
    options = f"ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C'"
    with new_database(servers, "template0", options) as name:
        yield Database(database_url(servers, name))


@pytest.mark.parametrize("encoded", ["SQL_ASCII"], indirect=True)
async def test_a_database_in_sql_ascii_keeps_every_text(encoded: Database, vhost: Vhost) -> None:
    line = CommandLine(vhost.amqp_url, encoded.url)
    await line.succeed("setup")
    key, said = WIDE * IDEMPOTENCY_KEY_CHARS_MAX, WIDE * TEXT_CHARS_MAX
    async with open_site(encoded, vhost) as site, site.worker():
        await site.put()
        await site.publish("registration", ROPO | {"description": said}, headers={catalog.KEY_HEADER: key})
        assert (await site.event_of(key)).body["status"] == "OHISPAY"
        await site.pay({"amount": "x"}, key="refused", headers={"note": WIDE})
        (letter,) = await site.dead_letters(1)
    assert WIDE in letter["properties"]
    shown = (await line.succeed("payments", "show", key, "--company", "acme", "--json")).json
    assert said in shown["details"].values()
    await line.succeed("audit")


@pytest.mark.parametrize(
    ("encoded", "name"), [("LATIN1", "LATIN1"), ("WIN1252", "WIN1252")], indirect=["encoded"], ids=["latin", "windows"]
)
async def test_a_database_that_cannot_hold_every_text_is_refused(encoded: Database, vhost: Vhost, name: str) -> None:
    line = CommandLine(vhost.amqp_url, encoded.url)
    for command in ("setup", "doctor"):
        result = await line.run(command)
        assert result.status == 1
        assert f"the database is encoded in {name}, which cannot hold every text" in result.stdout + result.stderr
        assert "ENCODING 'UTF8'" in result.stdout + result.stderr
