"""What a payment says beside its amounts, names, messages, references and tokens, stays out of all that is logged."""

import asyncio
import json
from typing import Any

from schemas import catalog
from tests.integration.command_line import CommandLine
from tests.integration.dialects import CANCEL, CANONICAL, CRM_COM, INVISIBLE_COLLECTOR, IVVY, ROPO
from tests.over_http import get
from tests.site import Site, eventually
from tests.walls.loud_worker import loud_worker
from tests.walls.secret import found
from worker.broker.delivery import ATTEMPTS_HEADER

SAID = "Nightjar3Whisper"
"""Stands in everything that people could have written."""
TEXT = f"Järvinen: {SAID} \"'{{}}%s\x7f€"

BODIES: dict[str, dict[str, Any]] = {
    ROPO: {
        "amount": "1.00",
        "billcode": "B1",
        "paydate": "2017-10-10",
        "type": TEXT,
        "description": TEXT,
        "identifier": TEXT,
        "creditnotebillnum": TEXT,
    },
    IVVY: {
        "invoiceId": 1,
        "paidDate": "2018-07-24 00:00:00",
        "amountPaid": "1.00",
        "paymentMethod": 5,
        "chequeNumber": TEXT,
        "chequeDrawerName": TEXT,
        "chequeBankBranch": TEXT,
        "receiptNum": TEXT,
    },
    INVISIBLE_COLLECTOR: {
        "number": TEXT,
        "type": TEXT,
        "date": "2017-10-10",
        "currency": "EUR",
        "lines": [{"number": "N1", "amount": "1.00", "referenceNumber": TEXT}],
    },
    CRM_COM: {
        "token": TEXT,
        "notes": TEXT,
        "udf_string_1": TEXT,
        "type_identifier": {"name": TEXT},
        "payment_method_identifier": {"name": TEXT},
        "received_by_user_identifier": {"username": TEXT},
        "invoice_identifier": {"number": "N2"},
        "received_on": "2017-10-10",
    },
    CANONICAL: {
        "paydate": "2017-10-10",
        "type": TEXT,
        "method": TEXT,
        "description": TEXT,
        "details": {"a": TEXT},
        "lines": [{"billcode": "B1", "amount": "1.00", "references": {"note": TEXT}}],
    },
    CANCEL: {"payment": "nothing", "reason": TEXT},
}
"""A body of each type, all of it sound."""
BROKEN = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'cannot take %', NEW USING DETAIL = NEW.details, ERRCODE = TG_ARGV[0]; END $$;
CREATE TRIGGER raised BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.idempotency_key LIKE 'raised %')
    EXECUTE FUNCTION fail('P0001');
CREATE TRIGGER denied BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.idempotency_key LIKE 'data %')
    EXECUTE FUNCTION fail('22000');
ALTER TABLE payments ADD CONSTRAINT refused CHECK (idempotency_key NOT LIKE 'refused %');
"""
"""The server's words about a failure quote the row, text and all; as constraints do in the detail."""


async def test_no_text_of_a_payment_is_logged(site: Site) -> None:
    line = CommandLine(site.amqp_url, site.database_url)
    await site.database.execute(BROKEN)
    async with loud_worker(line) as worker:
        port = json.loads(await worker.until('"started"'))["http_port"]
        for number in (1, 2):
            names: dict[str, Any] = {"jobid": number, "billcode": f"B{number}", "billnum": f"N{number}"}
            await site.put(**names, account={"id": TEXT, "number": TEXT, "name": TEXT})
        for message_type, body in BODIES.items():
            await _register(site, message_type, body)
        await site.publish("invoice", {"billcode": TEXT, "capital": TEXT, "version": 1}, type=catalog.INVOICE_PUT)
        await site.publish("invoice", {"number": TEXT, "unconditional": TEXT}, type=catalog.WALLET_PUT)
        letters = await site.dead_letters(7 * len(BODIES) + 2)
        booked = "SELECT count(*) = $1 FROM payments WHERE statusid = 6"
        await eventually(lambda: site.database.fetchval(booked, len(BODIES) - 1))
        status, seen = await asyncio.to_thread(get, port, "/metrics")
    assert await site.database.fetchval(booked, len(BODIES) - 1)
    assert {letter["reason"] for letter in letters} == {
        *("malformed_json", "unsupported_content_type", "unknown_type", "invalid", "poison"),
    }
    assert "message failed" in worker.said
    assert status == 200
    errors = "\n".join(letter["error"] + letter["errors"] for letter in letters)
    assert found(worker.said + seen + errors, SAID) == []


async def _register(site: Site, message_type: str, body: dict[str, Any]) -> None:
    """Send it well and twice, in conflict, then in each way in which it becomes a dead letter."""

    async def send(key: str, said: dict[str, Any] | bytes = body, **properties: Any) -> None:
        headers = {catalog.KEY_HEADER: f"{key} {message_type}"} | properties.pop("headers", {})
        await site.publish("registration", said, key=None, headers=headers, **{"type": message_type} | properties)

    await send("well")
    await send("well")
    await send(
        "well", body | ({"reason": SAID} if message_type == CANCEL else {"amount": "2.00", "amountPaid": "2.00"})
    )
    for key in ("raised", "data", "refused"):
        await send(key, headers={ATTEMPTS_HEADER: 3})
    await send(
        "invalid", body | dict.fromkeys(("amount", "amountPaid", "lines", "invoice_identifier", "payment"), TEXT)
    )
    await send("malformed", json.dumps(body).encode()[:-1])
    await send("of no type", type=f"{message_type}-{SAID}")
    await send("of another content", content_type=f"text/{SAID}")
