"""`payment-worker companies`."""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import click

from schemas.money import MINOR_DIGITS, read_amount, read_percent, to_minor, to_text
from schemas.orders import AllocationOrder, Distribution
from worker.books.companies import put_policy, read_policies
from worker.cli.parameters import COMPANY, DAY, TEXT, WholeNumber, choice, pairs
from worker.cli.servers import books, policy_of
from worker.cli.terminal import json_option, print_record, print_records
from worker.domain.policy import DuplicateCheck, IdentifierRule, Overpayment, Policy, Treatment
from worker.limits import AWAIT_INVOICE_S_MAX


@click.group()
def companies() -> None:
    """Companies and their policies."""


@companies.command()
@click.argument("company", type=COMPANY)
@click.option("--currency", required=True, metavar="CODE", help="ISO 4217 code, such as EUR.")
@click.option(
    "--allocation",
    type=choice(AllocationOrder),
    default=AllocationOrder.NOTICEFEE_INTEREST_CAPITAL.value,
    show_default=True,
    help="In which order an amount is allocated.",
)
@click.option("--allocation-for", type=TEXT, multiple=True, metavar="TYPE=ORDER", help="The order for a payment type.")
@click.option(
    "--overpayment",
    type=choice(Overpayment),
    default=Overpayment.KEEP.value,
    show_default=True,
    help="What to do with more than is open.",
)
@click.option(
    "--treat",
    type=TEXT,
    multiple=True,
    metavar="TYPE=TREATMENT",
    help=f"What a payment type means: {', '.join(Treatment)}.",
)
@click.option("--books-closed-until", type=DAY, metavar="DATE", help="No payment of that day or before is booked.")
@click.option(
    "--duplicates",
    type=choice(DuplicateCheck),
    default=DuplicateCheck.OFF.value,
    show_default=True,
    help="What to do with a payment that looks like one booked under another key.",
)
@click.option(
    "--await-invoice",
    "await_invoice_s",
    type=WholeNumber(0, AWAIT_INVOICE_S_MAX),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="How long to await an unknown invoice.",
)
@click.option("--hide-foreign", is_flag=True, help="Report an invoice of another company as not found.")
@click.option(
    "--identifiers",
    type=choice(IdentifierRule),
    default=IdentifierRule.FIRST.value,
    show_default=True,
    help="Whether the first identifier that matches decides, or all must agree.",
)
@click.option(
    "--distribution",
    type=choice(Distribution),
    default=Distribution.OLDEST_DUE.value,
    show_default=True,
    help="Which of several invoices is paid first, where a payment names no amount for each.",
)
@click.option(
    "--tolerance-amount",
    type=TEXT,
    metavar="AMOUNT",
    help="Write off what a payment leaves open of an invoice, up to this; with both limits the stricter wins.",
)
@click.option(
    "--tolerance-percent", type=TEXT, metavar="PERCENT", help="Likewise, up to this much of what was open before."
)
@click.option(
    "--gateway",
    "gateways",
    type=TEXT,
    multiple=True,
    metavar="NAME",
    help="A payment method or type that charges through a gateway, which is refused here.",
)
@json_option
def put(
    *,
    company: str,
    currency: str,
    allocation: str,
    allocation_for: tuple[str, ...],
    overpayment: str,
    treat: tuple[str, ...],
    books_closed_until: date | None,
    duplicates: str,
    await_invoice_s: int,
    hide_foreign: bool,
    identifiers: str,
    distribution: str,
    tolerance_amount: str | None,
    tolerance_percent: str | None,
    gateways: tuple[str, ...],
    as_json: bool,
) -> None:
    """Create COMPANY, or replace its whole policy: what is not said here is the default again."""
    if currency not in MINOR_DIGITS:
        raise click.BadParameter("must be an ISO 4217 code such as EUR", param_hint="--currency")
    policy = Policy(
        company=company,
        currency=currency,
        allocation=AllocationOrder(allocation),
        allocation_for=pairs(allocation_for, AllocationOrder, "--allocation-for"),
        overpayment=Overpayment(overpayment),
        treat=pairs(treat, Treatment, "--treat"),
        books_closed_until=books_closed_until,
        duplicates=DuplicateCheck(duplicates),
        await_invoice_s=await_invoice_s,
        hide_foreign=hide_foreign,
        identifiers=IdentifierRule(identifiers),
        distribution=Distribution(distribution),
        tolerance_minor=_tolerance_minor(tolerance_amount, currency),
        tolerance_percent=_tolerance_percent(tolerance_percent),
        gateways=frozenset(gateways),
    )
    print_record(_record(asyncio.run(_put(policy))), as_json=as_json)


def _tolerance_minor(text: str | None, currency: str) -> int | None:
    try:
        return None if text is None else to_minor(read_amount(text), currency, "it")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--tolerance-amount") from None


def _tolerance_percent(text: str | None) -> Decimal | None:
    try:
        return None if text is None else read_percent(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--tolerance-percent") from None


@companies.command("list")
@json_option
def list_companies(*, as_json: bool) -> None:
    """List the companies with their policies."""
    records = [_record(policy) for policy in asyncio.run(_read())]
    columns = ("company", "currency", "allocation", "overpayment", "duplicates", "books_closed_until", "treat")
    print_records(records, columns, as_json=as_json, empty="No companies yet: see `payment-worker companies put`.")


async def _put(policy: Policy) -> Policy:
    async with books("companies put") as session, session.transaction() as connection:
        await put_policy(connection, policy)
        return await policy_of(connection, policy.company)


async def _read() -> list[Policy]:
    async with books("companies list") as session, session.connection() as connection:
        return list((await read_policies(connection)).values())


def _record(policy: Policy) -> dict[str, Any]:
    return {
        "company": policy.company,
        "currency": policy.currency,
        "allocation": policy.allocation,
        "allocation_for": dict(policy.allocation_for),
        "overpayment": policy.overpayment,
        "treat": dict(policy.treat),
        "books_closed_until": policy.books_closed_until,
        "duplicates": policy.duplicates,
        "await_invoice_s": policy.await_invoice_s,
        "hide_foreign": policy.hide_foreign,
        "identifiers": policy.identifiers,
        "distribution": policy.distribution,
        "tolerance_amount": (
            to_text(policy.tolerance_minor, policy.currency) if policy.tolerance_minor is not None else None
        ),
        "tolerance_percent": format(policy.tolerance_percent, "f") if policy.tolerance_percent is not None else None,
        "gateways": sorted(policy.gateways),
    }
