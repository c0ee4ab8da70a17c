"""What a company's policy changes in how much is booked, and on what: under it and without it, through the broker."""

from collections.abc import Mapping
from typing import Any

import pytest

from schemas.orders import AllocationOrder, Distribution
from tests.integration.company import Company, found, under
from tests.integration.dialects import CANONICAL, IVVY, PAYMENT_TYPE, ROPO
from tests.site import Site
from worker.books.audit import audit
from worker.books.session import Session
from worker.domain.policy import Overpayment

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_more_than_is_open_is_kept_or_rejected(shared_site: Site) -> None:
    async def play(company: Company) -> list[tuple[str, str]]:
        sources: list[tuple[str, Mapping[str, object]]] = [
            (ROPO, {}),
            (CANONICAL, {}),
            (CANONICAL, {"overpayment": "reject"}),
            (IVVY, {}),
        ]
        told = []
        for invoice, (source, adds) in enumerate(sources):
            await company.put(invoice)
            told.append(await company.pay(f"{invoice}", source=source, invoice=invoice, amount="100.01", adds=adds))
        return [(outcome["reason"], outcome["unfocused"]) for outcome in told]

    kept, rejected = ("booked", "0.01"), ("overpayment", "100.01")
    assert await under(shared_site, [{}, *({"overpayment": what} for what in Overpayment)], play) == [
        [kept, kept, rejected, rejected],
        [kept, kept, rejected, rejected],
        [rejected] * 4,
    ]


ORDERS = {
    AllocationOrder.NOTICEFEE_INTEREST_CAPITAL: ("5.00", "7.00", "0.00"),
    AllocationOrder.NOTICEFEE_CAPITAL_INTEREST: ("5.00", "0.00", "7.00"),
    AllocationOrder.INTEREST_CAPITAL_NOTICEFEE: ("0.00", "10.00", "2.00"),
    AllocationOrder.INTEREST_NOTICEFEE_CAPITAL: ("2.00", "10.00", "0.00"),
    AllocationOrder.CAPITAL_INTEREST_NOTICEFEE: ("0.00", "0.00", "12.00"),
    AllocationOrder.PRO_RATA: ("0.52", "1.04", "10.44"),
}
"""What 12.00 pays of a notice fee of 5.00, interest of 10.00 and a capital of 100.00."""
DEFAULT_ORDER = AllocationOrder.NOTICEFEE_INTEREST_CAPITAL


async def pay_twelve(company: Company, **adds: object) -> tuple[str, ...]:
    """Pay 12.00 as ORDERS has it, and return what goes to each component."""
    await company.put(capital="100.00", interest="10.00", noticefee="5.00")
    line = {"lines": [{"billcode": company.names()["billcode"], "amount": "12.00"}]}
    outcome = await company.pay(source=CANONICAL, adds=line | adds)
    return tuple(outcome[f"focusedto{part}"] for part in ("noticefee", "interest", "capital"))


@pytest.mark.parametrize("order", AllocationOrder)
async def test_the_company_says_in_which_order_components_are_paid(shared_site: Site, order: AllocationOrder) -> None:
    policies: list[Mapping[str, Any]] = [{}, {"allocation": order}, {"allocation_for": {PAYMENT_TYPE: order}}]
    assert await under(shared_site, policies, pay_twelve) == [ORDERS[DEFAULT_ORDER], ORDERS[order], ORDERS[order]]


async def test_the_message_s_order_comes_before_the_type_s_the_type_s_before_the_company_s(shared_site: Site) -> None:
    asked, for_type, general, preset = (
        AllocationOrder.PRO_RATA,
        AllocationOrder.INTEREST_NOTICEFEE_CAPITAL,
        AllocationOrder.NOTICEFEE_CAPITAL_INTEREST,
        AllocationOrder.CAPITAL_INTEREST_NOTICEFEE,
    )

    async def play(kind: str, **adds: object) -> list[tuple[str, ...]]:
        policies: list[Mapping[str, Any]] = [
            {},
            {"allocation": general},
            {"allocation": general, "allocation_for": {kind: for_type}},
            {"allocation": general, "allocation_for": {"another type": for_type}},
        ]
        return await under(shared_site, policies, lambda company: pay_twelve(company, type=kind, **adds))

    def told(*orders: AllocationOrder) -> list[tuple[str, ...]]:
        return [ORDERS[order] for order in orders]

    assert await play("Cash") == told(DEFAULT_ORDER, general, for_type, general)
    assert await play("directpayment") == told(preset, preset, for_type, preset)
    assert await play("directpayment", allocation=asked) == told(asked, asked, asked, asked)


DISTRIBUTIONS = {
    Distribution.OLDEST_DUE: ("60.00", "40.00", "0.00"),
    Distribution.EXACT_MATCH: ("0.00", "100.00", "0.00"),
    Distribution.HIGHEST_AMOUNT: ("0.00", "0.00", "100.00"),
    Distribution.PRO_RATA: ("19.35", "32.26", "48.39"),
}
"""What 100.00 pays of three invoices of 60.00, 100.00 and 150.00, of which the first is due first."""


@pytest.mark.parametrize("distribution", Distribution)
async def test_the_company_says_which_of_several_invoices_is_paid_first(
    shared_site: Site, distribution: Distribution
) -> None:
    async def pay(company: Company, **adds: object) -> tuple[str, ...]:
        for invoice, capital in enumerate(("60.00", "100.00", "150.00")):
            due_date = f"2017-01-0{invoice + 1}"
            await company.put(invoice, capital=capital, interest=0, noticefee=0, due_date=due_date)
        order = (2, 0, 1)  # in the message, which is not to matter
        lines = {"lines": [{"billcode": company.names(invoice)["billcode"]} for invoice in order]}
        outcome = await company.pay(source=CANONICAL, adds={"amount": "100.00"} | lines | adds)
        paid = dict(zip(order, (line["amount"] for line in outcome["lines"]), strict=True))
        return tuple(paid[invoice] for invoice in sorted(paid))

    default, expected = DISTRIBUTIONS[Distribution.OLDEST_DUE], DISTRIBUTIONS[distribution]
    assert await under(shared_site, [{}, {"distribution": distribution}], pay) == [default, expected]
    for rules in ({}, {"distribution": Distribution.OLDEST_DUE}):
        asking = await found(shared_site, **rules)
        assert await pay(asking, distribution=distribution) == expected


@pytest.mark.parametrize(
    ("tolerance_minor", "tolerance_percent", "is_written_off"),
    [
        (None, None, False),
        (200, None, True),
        (199, None, False),
        (None, "2", True),
        (None, "1.99", False),
        (200, "2", True),
        (200, "1.99", False),  # the stricter wins,
        (199, "2", False),  # whichever it is
        (0, "100", False),
    ],
)
async def test_a_remainder_within_all_limits_of_the_tolerance_is_written_off(
    shared_site: Site, tolerance_minor: int | None, tolerance_percent: str | None, *, is_written_off: bool
) -> None:
    """Of 100.00 that are open, 98.00 are paid."""
    rules: dict[str, Any] = {"tolerance_minor": tolerance_minor, "tolerance_percent": tolerance_percent}
    company = await found(shared_site, **rules)
    await company.put()
    outcome = await company.pay(amount="98.00")

    assert (outcome["reason"], outcome["amount"], outcome["focusedtocapital"]) == ("booked", "98.00", "78.00")
    written_off, after, state = ("2.00", "0.00", "CLOSED") if is_written_off else ("0.00", "2.00", "OPEN")
    assert (outcome["writtenoffcapital"], outcome["capitalafter"], outcome["invoicestate"]) == (
        written_off,
        after,
        state,
    )
    sql = "SELECT entry, amount FROM allocations WHERE payment_id = $1 ORDER BY entry"
    entries = [tuple(row) for row in await shared_site.database.fetch(sql, outcome["payment_id"])]
    assert entries == [("payment", 9800), *([("tolerance", 200)] if is_written_off else [])]
    await company.cancel()
    again = await company.pay("again")
    assert (again["capitalbefore"], again["focusedtocapital"]) == ("80.00", "80.00")


async def test_the_books_add_up_under_any_policy(shared_site: Site) -> None:
    """Those of whatever tests came before this one."""
    company = await found(shared_site, tolerance_minor=200)
    await company.put()
    await company.pay(amount="98.00")
    async with Session(shared_site.database_url, "audit") as session:
        assert (await audit(session)).findings == []
