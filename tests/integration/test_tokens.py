"""A CRM.COM body may hold the token of a login. Whatever becomes of it, no trace of it is kept or logged."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.integration.command_line import CommandLine
from tests.integration.dialects import CRM_COM, PAYMENTS, Payment, invoice_names
from tests.site import Event, Site, eventually
from worker.broker.delivery import ATTEMPTS_HEADER

POISON = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
    CREATE TRIGGER fail BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.idempotency_key = 'poison')
        EXECUTE FUNCTION fail();
"""
NUMBER, UNKNOWN = 1, 2
"""Of the invoice that is there, and of one that is not."""


def token(name: str) -> str:
    return f"token-of-{name}-5f2c1e"


def crm_com(name: str, number: int = NUMBER, **adds: object) -> bytes:
    """A payment of all that is open, whose token is known by the message's name."""
    said = PAYMENTS[CRM_COM](Payment(key=name, number=number))
    return json.dumps({"token": token(name)} | said | adds).encode()


BOOKED = crm_com("booked")
DEAD: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "invalid": (crm_com("invalid", type_identifier={}), {}, "invalid"),
    "no token to be": (crm_com("x", token={"is": [token("no token to be")]}, type_identifier={}), {}, "invalid"),
    "spelled": (crm_com("spelled", type_identifier={}).replace(b'"token":', b'"\\u0074oken":'), {}, "invalid"),
    "malformed": (crm_com("malformed") + b"}", {}, "malformed_json"),
    "broken off": (crm_com("broken off")[: len(b'{"token": "token-of-broken off-5f2c1e')], {}, "malformed_json"),
    "too large": (crm_com("too large", notes="x" * 70_000), {}, "too_large"),
    "unknown company": (crm_com("unknown company"), {"company": "nobody"}, "unknown_company"),
    "late company": (crm_com("late company"), {"company": "late"}, "unknown_company"),
    "content type": (crm_com("content type"), {"content_type": "text/plain"}, "unsupported_content_type"),
    "unknown type": (crm_com("unknown type"), {"type": "crm-com.pay-invoice.v2"}, "unknown_type"),
    "no type": (crm_com("no type"), {"type": None}, "invalid"),
    "poison": (crm_com("poison"), {"headers": {ATTEMPTS_HEADER: 3}}, "poison"),
}
"""What becomes a dead letter: by name the body, properties, and the reason."""


async def send(site: Site, name: str, body: bytes, **properties: Any) -> None:
    await site.publish("registration", body, key=name, **{"type": CRM_COM} | properties)


async def traces(site: Site, texts: Iterable[str]) -> dict[str, set[str]]:
    """Return each text that stands in a row of any table, as text or as bytes, with those tables."""
    tables = [
        row["table_name"]
        for row in await site.database.fetch(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        )
    ]
    found: dict[str, set[str]] = {}
    for text in texts:
        spellings = [f"%{text}%", f"%{text.encode().hex()}%"]
        for table in tables:
            sql = f'SELECT EXISTS (SELECT FROM "{table}" AS line WHERE line::text LIKE ANY ($1))'
            if await site.database.fetchval(sql, spellings):
                found.setdefault(text, set()).add(table)
    return found


@asynccontextmanager
async def talkative_worker(line: CommandLine, log: list[str]) -> AsyncIterator[None]:
    """Run a worker as ops does that logs all it can; what it said is in the log at the end."""
    process = await line.start("run", environment={"PAYMENT_WORKER_LOG_LEVEL": "debug"})
    try:
        yield
    finally:
        process.terminate()
        ended = await line.end(process)
        log += [ended.stdout, ended.stderr]


async def test_a_trace_would_be_found_in_text_and_in_bytes(site: Site) -> None:
    async with site.worker():
        await site.put(**invoice_names(NUMBER))
        await send(site, "booked", BOOKED)
        await send(site, "invalid", DEAD["invalid"][0])
        await site.events(2)
        await site.dead_letters(1)
    assert await traces(site, ["N1", "POSTED", "received_on", token("booked")]) == {
        "N1": {"invoices", "outcomes", "dead_letters"},
        "POSTED": {"outcomes"},
        "received_on": {"dead_letters"},
    }


async def pay(site: Site) -> list[Event]:
    """Have payments booked, replayed, refused, left waiting, and booked after a wait."""
    await site.policy("patient", await_invoice_s=3600)
    await send(site, "booked", BOOKED)
    events = [await site.event_of("booked")]
    await send(site, "booked", crm_com("booked again"))
    events.append(await site.event_of("booked"))
    await send(site, "refused", crm_com("refused", number=UNKNOWN))
    events.append(await site.event_of("refused"))
    for name, number in (("waiting", UNKNOWN + 1), ("awaited", UNKNOWN)):
        await send(site, name, crm_com(name, number=number), company="patient")
        events.append(await site.event_of(name))
    await site.put("patient", **invoice_names(UNKNOWN))
    events.append(await site.event_of("awaited"))
    return events


async def die(site: Site) -> dict[str, asyncpg.Record]:
    """Have all become dead letters that is to, and return those by name."""
    for name, (body, properties, _) in DEAD.items():
        await send(site, name, body, **properties)
    return {letter["idempotency_key"]: letter for letter in await site.dead_letters(len(DEAD))}


async def mend(site: Site, line: CommandLine, letters: dict[str, asyncpg.Record], mended: Path) -> list[str]:
    """Have dead letters edited and replayed: to be booked, refused, and dead again. Return what is shown of all."""
    ids = {name: str(letter["id"]) for name, letter in letters.items()}
    await site.policy("late")
    await site.put("late", **invoice_names(NUMBER))
    await line.succeed("dead-letters", "edit", ids["malformed"], "--body", mended)
    await line.succeed("dead-letters", "replay", *(ids[name] for name in ("late company", "malformed", "invalid")))
    ends = "(SELECT count(*) FROM dead_letters WHERE state = 'resolved') = 2"
    dead_again = "(SELECT count FROM dead_letters WHERE idempotency_key = 'invalid') = 2"
    await eventually(lambda: site.database.fetchval(f"SELECT {ends} AND {dead_again}"))
    return [(await line.succeed("dead-letters", "show", letter_id)).stdout for letter_id in ids.values()]


@pytest.fixture
def mended(tmp_path: Path) -> Path:
    file = tmp_path / "mended.json"
    file.write_bytes(crm_com("mended"))
    return file


async def test_no_trace_of_a_token_is_kept_or_logged(site: Site, mended: Path) -> None:
    line = CommandLine(site.amqp_url, site.database_url)
    log: list[str] = []
    await site.database.execute(POISON)
    async with talkative_worker(line, log):
        await site.put(**invoice_names(NUMBER))
        events = await pay(site)
        letters = await die(site)
        shown = await mend(site, line, letters, mended)
        late = await site.event_of("late company")

    booked, waiting = (6, "booked"), (0, "invoice_awaited")
    assert [(event.body["statusid"], event.body["reason"]) for event in (*events, late)] == [
        *(booked, booked, (10, "invoice_not_found"), waiting, waiting, booked, booked)
    ]
    assert events[1].replayed
    assert {name: letter["reason"] for name, letter in letters.items()} == {
        name: reason for name, (_, _, reason) in DEAD.items()
    }
    name = "unknown company"
    blanked = DEAD[name][0].replace(token(name).encode(), b"")
    assert letters[name]["body"] == blanked  # and nothing else of it has changed

    names = ("booked", "booked again", "refused", "awaited", "waiting", "mended", *DEAD)
    assert await traces(site, map(token, names)) == {}
    assert any('"level": "debug"' in text for text in log)
    told = [*log, *shown, *(event.message.body.decode() for event in (*events, late))]
    assert [name for name in names if any(token(name) in text for text in told)] == []
    assert await site.queue_is_empty("payments.dead-letters")
