"""What a company's policy changes: the same messages come to one company that has it, and to one that has not."""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.integration.company import Company, found, under
from tests.integration.dialects import CANONICAL, CRM_COM, Body
from tests.site import Site
from worker.domain.policy import DuplicateCheck, IdentifierRule, Treatment

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Whether, and when.


async def is_pending(company: Company, outcome: Body) -> bool:
    sql = "SELECT EXISTS (SELECT FROM pending WHERE payment_id = $1)"
    return bool(await company.site.database.fetchval(sql, outcome["payment_id"]))


async def test_an_unknown_invoice_is_awaited_and_its_arrival_has_the_payment_booked(shared_site: Site) -> None:
    async def play(company: Company) -> tuple[str, str]:
        first = await company.pay()
        await company.put()
        # Without the policy nothing happens by itself: the payment has to come again.
        then = await company.outcome() if first["reason"] == "invoice_awaited" else await company.pay()
        assert then["payment_id"] == first["payment_id"]
        assert then["event_id"] != first["event_id"]
        assert not await is_pending(company, first)
        return first["reason"], then["reason"]

    assert await under(shared_site, [{}, {"await_invoice_s": 3600}], play) == [
        ("invoice_not_found", "booked"),
        ("invoice_awaited", "booked"),
    ]


@pytest.mark.parametrize(("owner", "end"), [(None, "invoice_not_found"), ("other", "invoice_of_another_company")])
async def test_an_awaited_invoice_that_does_not_arrive_is_told_in_the_end(
    shared_site: Site, owner: str | None, end: str
) -> None:
    company = await found(shared_site, await_invoice_s=5)
    if owner is not None:
        await company.put(owner=owner)
    undone = await company.pay()
    assert (undone["reason"], await is_pending(company, undone)) == ("invoice_awaited", True)
    told = await company.outcome()
    assert (told["reason"], await is_pending(company, told)) == (end, False)


@pytest.mark.asyncio(loop_scope="function")
async def test_a_payment_date_in_the_future_is_awaited_by_the_day_of_the_workers_time_zone(site: Site) -> None:
    """The date is today's on Kiritimati, where a day begins first, and so tomorrow's or later where it begins last."""
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date().isoformat()
    async with site.worker(timezone="Etc/GMT+12"):
        await site.put()
        await site.pay({"paydate": today}, key="k1")
        undone = await site.next_event()
    assert (undone.body["statusid"], undone.body["reason"]) == (0, "paydate_in_future")
    async with site.worker(timezone="Pacific/Kiritimati"):
        await site.pay({"paydate": today, "amount": 1}, key="k2")
        at_once = await site.next_event()
        assert (at_once.body["idempotency_key"], at_once.body["reason"]) == ("k2", "booked")
        # The first one's day has come here too; that the worker looks again at its midnight is not waited for.
        await site.database.execute("UPDATE pending SET wake_at = now()")
        booked = await site.next_event()
    assert (booked.body["idempotency_key"], booked.body["reason"]) == ("k1", "booked")
    assert booked.body["payment_id"] == undone.body["payment_id"]


async def test_a_closed_period_takes_no_payment_of_its_last_day_or_before(shared_site: Site) -> None:
    async def play(company: Company) -> list[str]:
        await company.put()
        days = ("2017-10-09", "2017-10-10", "2017-10-11")
        return [(await company.pay(day, paydate=day, amount="1.00"))["reason"] for day in days]

    assert await under(shared_site, [{}, {"books_closed_until": date(2017, 10, 10)}], play) == [
        ["booked", "booked", "booked"],
        ["period_closed", "period_closed", "booked"],
    ]


async def test_a_twin_under_another_key_is_booked_flagged_or_refused(shared_site: Site) -> None:
    async def play(company: Company) -> dict[str, str]:
        await company.put()
        await company.pay("first", amount="1.00")
        told = {
            "same": await company.pay("same", amount="1.00"),
            "amount": await company.pay("amount", amount="1.01"),
            "date": await company.pay("date", amount="1.00", paydate="2017-10-09"),
            "type": await company.pay("type", amount="1.00", adds={"type": "Cheque"}),
            "source": await company.pay("source", amount="1.00", source=CANONICAL),
        }
        await company.cancel("amount")
        told["cancelled"] = await company.pay("cancelled", amount="1.01")
        return {key: outcome["reason"] for key, outcome in told.items()}

    keys = ("same", "amount", "date", "type", "source", "cancelled")
    booked = dict.fromkeys(keys, "booked")
    twins = ("same", "source")
    assert await under(shared_site, [{}, *({"duplicates": check} for check in DuplicateCheck)], play) == [
        booked,
        booked,  # off
        booked | dict.fromkeys(twins, "booked_possible_duplicate"),
        booked | dict.fromkeys(twins, "duplicate"),
    ]


async def test_a_type_can_be_muted_or_mean_the_collectors_settlement_flow(shared_site: Site) -> None:
    async def play(company: Company) -> list[tuple[int, str]]:
        await company.put()
        told = [await company.pay(kind, adds={"type": kind, "amount": "1.00"}) for kind in ("A", "B", "C", "D")]
        return [(outcome["statusid"], outcome["reason"]) for outcome in told]

    treat = {"A": Treatment.IGNORE, "B": Treatment.ROPO, "C": Treatment.ROPO_REFUND}
    assert await under(shared_site, [{}, {"treat": treat}], play) == [
        [(6, "booked")] * 4,
        [(8, "type_muted"), (3, "type_settlement"), (4, "type_settlement_refund"), (6, "booked")],
    ]


async def test_methods_and_types_of_a_payment_gateway_are_refused(shared_site: Site) -> None:
    async def play(company: Company) -> list[str]:
        await company.put()
        messages: list[tuple[str, Mapping[str, object]]] = [
            (CANONICAL, {"type": "CARD"}),
            (CANONICAL, {"method": "CARD"}),
            (CANONICAL, {"method": "card"}),
            (CRM_COM, {"card_identifier": {"last_digits": "4242"}}),  # asks for a charge, whatever the policy is
            (CRM_COM, {"payment_method_identifier": {"alternative_code": "CARD"}}),
        ]
        told = [
            await company.pay(f"{n}", source=source, amount="1.00", adds=adds)
            for n, (source, adds) in enumerate(messages)
        ]
        return [outcome["reason"] for outcome in told]

    no = "gateway_charge_unsupported"
    assert await under(shared_site, [{}, {"gateways": frozenset({"CARD", "VISA"})}], play) == [
        ["booked", "booked", "booked", no, "booked"],
        [no, no, "booked", no, no],
    ]


# Which invoice.


async def test_another_companys_invoice_or_payment_is_told_of_or_hidden(shared_site: Site) -> None:
    async def play(company: Company) -> list[tuple[int, str]]:
        await company.put(owner="other")
        await company.pay("theirs", payer="other")
        told = [await company.pay(), await company.cancel("theirs")]
        return [(outcome["statusid"], outcome["reason"]) for outcome in told]

    assert await under(shared_site, [{}, {"hide_foreign": True}], play) == [
        [(9, "invoice_of_another_company"), (9, "payment_of_another_company")],
        [(10, "invoice_not_found"), (10, "payment_not_found")],
    ]


async def test_of_several_identifiers_the_first_that_is_known_decides_or_all_must_agree(shared_site: Site) -> None:
    async def play(company: Company) -> list[tuple[str, str]]:
        await company.put(0)
        await company.put(1)
        first, second = (company.names(invoice) for invoice in (0, 1))
        named = [
            first,
            first | {"jobid": second["jobid"]},
            {"billcode": "unknown", "jobid": second["jobid"]},
            {"billcode": first["billcode"]},
        ]
        told = [await company.pay(f"{n}", amount="1.00", adds=names) for n, names in enumerate(named)]
        which = {first["billcode"]: "first", second["billcode"]: "second"}
        return [(outcome["reason"], which.get(outcome["billcode"], "none")) for outcome in told]

    by_first = [("booked", "first"), ("booked", "first"), ("booked", "second"), ("booked", "first")]
    no = "identifiers_disagree"
    assert await under(shared_site, [{}, *({"identifiers": rule} for rule in IdentifierRule)], play) == [
        by_first,
        by_first,
        [("booked", "first"), (no, "first"), (no, "none"), ("booked", "first")],
    ]


async def test_a_companys_currency_is_that_of_messages_and_statements_that_name_none(shared_site: Site) -> None:
    async def play(company: Company) -> tuple[str, str, str]:
        await company.put(capital="80", interest="15", noticefee="5")
        fraction, whole = await company.pay(amount="1.50"), await company.pay(amount="2")
        return fraction["reason"], whole["currency"], whole["amount"]

    assert await under(shared_site, [{}, {"currency": "JPY"}], play) == [
        ("booked", "EUR", "2.00"),
        ("invalid", "JPY", "2"),
    ]
