"""`payment-worker payments`."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import click

from schemas.codec import read_json
from schemas.money import to_text
from schemas.outcome import Status
from worker.books.invoices import to_invoice
from worker.books.sql import query
from worker.cli.invoices import identifiers
from worker.cli.parameters import TEXT, company_option
from worker.cli.servers import NotFoundError, books, policy_of
from worker.cli.terminal import json_option, print_record


@click.group()
def payments() -> None:
    """Show payments."""


@payments.command()
@click.argument("key", type=TEXT)
@company_option
@json_option
def show(*, key: str, company: str, as_json: bool) -> None:
    """Show the payment held under the idempotency KEY: what it is, what it put on which invoice, and its outcome."""
    print_record(asyncio.run(_find(key, company)), as_json=as_json)


async def _find(key: str, company: str) -> dict[str, Any]:
    async with books("payments show") as session, session.connection() as connection:
        await policy_of(connection, company)
        payment = await connection.fetchrow(query("find_payment"), company, key)
        if payment is None:
            raise NotFoundError(f"company {company} has no payment under that key")
        allocations = await connection.fetch(query("allocations_of_payment"), payment["id"])
    currency = payment["currency"]
    return {
        "payment_id": payment["id"],
        "company": payment["company"],
        "idempotency_key": payment["idempotency_key"],
        "source": payment["source"],
        "statusid": payment["statusid"],
        "status": Status(payment["statusid"]).name,
        "reason": payment["reason"],
        "amount": to_text(payment["amount"], currency),
        "unfocused": to_text(payment["unfocused"], currency),
        "currency": currency,
        "surcharge": to_text(payment["surcharge"], currency),
        "settled_by": payment["settled_by"],
        "wallet": payment["wallet"],
        "paydate": payment["paydate"],
        "type": payment["payment_type"],
        "details": json.loads(payment["details"] or "{}"),
        "created_at": payment["created_at"],
        "updated_at": payment["updated_at"],
        "wake_at": payment["wake_at"],
        "event_id": payment["event_id"],
        "is_cancelled": payment["is_cancelled"],
        "cancelled_by": payment["cancelled_by"],
        "cancels": payment["cancels"],
        "allocations": [_allocation(row, currency) for row in allocations],
        "outcome": read_json(payment["outcome"]) if payment["outcome"] is not None else None,
    }


def _allocation(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    return {
        "line": row["line"],
        "entry": row["entry"],
        "amount": to_text(row["amount"], currency),
        **{name: to_text(row[f"to_{name}"], currency) for name in ("capital", "interest", "noticefee")},
        "references": json.loads(row["line_references"] or "{}"),
        "invoice": identifiers(to_invoice(row)),
    }
