"""The body that each source publishes as its example, through the broker: the published answer comes back."""

from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import catalog
from tests.integration.dialects import CRM_COM, INVISIBLE_COLLECTOR, IVVY, ROPO
from tests.site import Event, Site, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
EXAMPLES = Path(schemas.__file__).parent / "examples"
BODIES = {path.relative_to(EXAMPLES).as_posix(): path.read_bytes() for path in EXAMPLES.glob("*/published*.json")}


async def send(site: Site, company: str, source: str, example: str = "published", **properties: Any) -> Event:
    """Publish the example for that company and return what comes back; the key is the company's name."""
    body = BODIES[f"{source}/{example}.json"]
    await site.publish("registration", body, key=company, company=company, **{"type": source} | properties)
    return await site.event_of(company)


async def test_ropo_is_told_that_the_capital_is_booked(shared_site: Site) -> None:
    await shared_site.policy("ropo")
    await shared_site.put("ropo", jobid=4711, billcode="1234567", billnum="R1234567", capital="710.00")
    event = await send(shared_site, "ropo", ROPO, type=None)

    assert (event.body["statusid"], event.body["status"]) == (6, "OHISPAY")
    assert event.body["response"] == {
        "jobid": 4711,
        "billnum": "R1234567",
        "billcode": "1234567",
        "paydate": "2017-10-10",
        "amount": 710.0,
        "capitalbefore": 710.0,
        "capitalafter": 0.0,
        "focusedtocapital": 710.0,
        **dict.fromkeys(("interestbefore", "interestafter", "focusedtointerest"), 0.0),
        **dict.fromkeys(("noticefeebefore", "noticefeeafter", "focusedtonoticefee"), 0.0),
        "unfocused": 0.0,
        "statusid": 6,
        "statustext": "Capital kirjattu",
    }
    assert b'"amount":710.00,' in event.message.body.partition(b'"response":')[2]
    assert event.body["lines"][0]["references"] == {"creditnotebillnum": "26251"}


async def test_ivvy_is_told_of_success_and_a_whole_number_for_an_id(shared_site: Site) -> None:
    await shared_site.policy("ivvy")
    await shared_site.put("ivvy", jobid=156, billcode="156", capital="10.00")
    event = await send(shared_site, "ivvy", IVVY)

    assert event.body["response"] == {"Success": True, "Id": event.body["payment_id"]}
    assert type(event.body["response"]["Id"]) is int
    assert (event.body["amount"], event.body["surcharge"]) == ("10.00", "1.00")  # 10 % beside it
    assert (event.body["focusedtocapital"], event.body["invoicestate"]) == ("10.00", "CLOSED")


async def test_invisible_collector_has_both_lines_of_the_one_debt_deducted(shared_site: Site) -> None:
    await shared_site.policy("collector")
    await shared_site.put("collector", billnum="FT TEST/001", capital="31.00")
    body = BODIES[f"{INVISIBLE_COLLECTOR}/published.json"]
    events = []
    for message_id in ("is not the key", "and neither is this"):
        await shared_site.publish("registration", body, key=message_id, company="collector", type=INVISIBLE_COLLECTOR)
        events.append(await shared_site.event_of("RG TEST/001"))
    event, again = events

    assert event.body["response"] == {
        "number": "RG TEST/001",
        "externalId": "123455",
        "status": "FINAL",
        "type": "RG",
        "date": "2016-07-01",
        "netTotal": 25.0,
        "tax": 5.75,
        "grossTotal": 30.75,
        "currency": "EUR",
        "lines": [
            {"number": "FT TEST/001", "amount": 10.75},
            {"number": "FT TEST/001", "referenceNumber": "NC NC/001", "amount": 20.0},
        ],
    }
    assert [
        (line["capitalbefore"], line["focusedtocapital"], line["capitalafter"], line["references"])
        for line in event.body["lines"]
    ] == [
        ("31.00", "10.75", "20.25", {}),
        ("20.25", "20.00", "0.25", {"referenceNumber": "NC NC/001"}),
    ]
    assert (event.body["capitalbefore"], event.body["capitalafter"], event.body["amount"]) == ("31.00", "0.25", "30.75")
    assert again.replayed
    assert again.message.body == event.message.body
    sql = "SELECT line, amount, line_references FROM allocations WHERE payment_id = $1 ORDER BY line"
    entries = await shared_site.database.fetch(sql, event.body["payment_id"])
    assert [tuple(entry) for entry in entries] == [
        (1, 1075, None),
        (2, 2000, '{"referenceNumber": "NC NC/001"}'),
    ]


async def test_crm_com_is_told_the_amount_of_an_invoice_of_the_account(shared_site: Site) -> None:
    await shared_site.policy("crm-account")
    account = {"number": "192"}
    await shared_site.put("crm-account", reference_number="328", account=account, capital="200.00", interest="25.00")
    event = await send(shared_site, "crm-account", CRM_COM, "published-account-number")

    response, payment_id = event.body["response"], str(event.body["payment_id"])
    assert response["status"] == {"code": "OK", "description": "", "message": ""}
    issued_on = event.body["occurred_at"][:19]
    assert response["data"] == {
        "id": payment_id,
        "number": payment_id,
        "reference_number": payment_id,
        "life_cycle_state": "POSTED",
        "issued_on": issued_on,
        "posted_on": issued_on,
        "payment_amount": 225,
        "processed_by_payment_gateway": None,
        "payment_gateway_reference_number": None,
        "currency_rate_period": None,
    }
    assert (event.body["settled_by"], event.body["invoicestate"]) == ("money", "CLOSED")
    assert event.body["paydate"] == event.body["occurred_at"][:10]  # it names no date: the day of its processing


async def test_crm_com_is_told_just_the_fields_that_it_asked_for(shared_site: Site) -> None:
    await shared_site.policy("crm-fields")
    account = {"name": "Järvinen Oy"}
    await shared_site.put("crm-fields", reference_number="2023", account=account, capital="12.50")
    event = await send(shared_site, "crm-fields", CRM_COM, "published-fields-set")

    payment_id = str(event.body["payment_id"])
    assert event.body["response"]["data"] == {
        "id": payment_id,
        "number": payment_id,
        "reference_number": payment_id,
        "issued_on": event.body["occurred_at"][:19],
        "payment_amount": 12.5,
    }


async def test_crm_com_pays_from_a_wallet_what_its_unconditional_funds_hold(shared_site: Site) -> None:
    await shared_site.policy("crm-wallet")
    wallet = {"number": "W0000007376", "unconditional": "5.00", "conditional": "100.00", "version": 1}
    await shared_site.publish("invoice", wallet, company="crm-wallet", type=catalog.WALLET_PUT)
    await shared_site.put("crm-wallet", external_id="54F3A49F23024C51AFF21B7C728F3549", capital="5.00")
    sql = "SELECT EXISTS (SELECT FROM wallets WHERE company = 'crm-wallet')"
    await eventually(lambda: shared_site.database.fetchval(sql))
    event = await send(shared_site, "crm-wallet", CRM_COM, "published-wallet")

    data = event.body["response"]["data"]
    assert (data["payment_amount"], data["life_cycle_state"]) == (5, "POSTED")
    assert event.body["settled_by"] == "wallet"
    sql = "SELECT drawn FROM wallets WHERE company = 'crm-wallet'"
    assert await shared_site.database.fetchval(sql) == 500
