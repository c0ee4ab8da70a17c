"""The statements of one payment, one transaction, as anybody would write them; and what they come to."""

import json
from decimal import Decimal
from typing import Any, NamedTuple

CLAIM = "INSERT INTO payments (company, idempotency_key, amount) VALUES ({}) ON CONFLICT DO NOTHING RETURNING id"
HELD = "SELECT outcome FROM payments WHERE company = {} AND idempotency_key = {}"
LOCK = (
    "SELECT id, capital - capital_allocated AS capital, interest - interest_allocated AS interest,"
    " noticefee - noticefee_allocated AS noticefee FROM invoices WHERE company = {} AND billcode = {} FOR UPDATE"
)
ALLOCATE = "INSERT INTO allocations (payment_id, invoice_id, capital, interest, noticefee) VALUES ({})"
UPDATE = (
    "UPDATE invoices SET capital_allocated = capital_allocated + {}, interest_allocated = interest_allocated + {},"
    " noticefee_allocated = noticefee_allocated + {} WHERE id = {}"
)
KEEP = "UPDATE payments SET outcome = {} WHERE id = {}"


class Focused(NamedTuple):
    """What of an amount goes where, in cents."""

    capital: int
    interest: int
    noticefee: int


def cents(amount: str) -> int:
    """Return the amount in cents."""
    return int(Decimal(amount) * 100)


def euros(minor: int) -> str:
    """Return the cents as an amount."""
    return f"{minor // 100}.{minor % 100:02}"


def focus(amount: int, capital: int, interest: int, noticefee: int) -> Focused:
    """Allocate costs first, then interest, then capital."""
    to_noticefee = min(amount, noticefee)
    to_interest = min(amount - to_noticefee, interest)
    to_capital = min(amount - to_noticefee - to_interest, capital)
    return Focused(to_capital, to_interest, to_noticefee)


def outcome(company: str, key: str, payment: dict[str, Any], focused: Focused) -> str:
    """Return the event's text."""
    return json.dumps(
        {
            "company": company,
            "idempotency_key": key,
            "statusid": 6,
            "status": "OHISPAY",
            "amount": payment["amount"],
            "billcode": payment["billcode"],
            "paydate": payment["paydate"],
            "focusedtocapital": euros(focused.capital),
            "focusedtointerest": euros(focused.interest),
            "focusedtonoticefee": euros(focused.noticefee),
        }
    )
