"""What the tables of a contestant come to: whoever's they are, payments, allocations and invoices are to agree."""

from typing import NamedTuple

import asyncpg

from tests.benchmarks.payments import AMOUNT_MINOR

_TOTALS = """
    SELECT (SELECT count(*) FROM payments) AS payments,
           (SELECT count(*) FROM allocations) AS allocations,
           (SELECT coalesce(sum(capital + interest + noticefee), 0)::bigint FROM allocations) AS allocated,
           (SELECT coalesce(sum(capital_allocated + interest_allocated + noticefee_allocated), 0)::bigint
            FROM invoices) AS on_invoices
"""
_DISAGREEING = """
    SELECT count(*)
    FROM invoices i
    LEFT JOIN (
        SELECT invoice_id, sum(capital) AS capital, sum(interest) AS interest, sum(noticefee) AS noticefee
        FROM allocations GROUP BY invoice_id
    ) a ON a.invoice_id = i.id
    WHERE (i.capital_allocated, i.interest_allocated, i.noticefee_allocated)
        <> (coalesce(a.capital, 0), coalesce(a.interest, 0), coalesce(a.noticefee, 0))
"""


class Totals(NamedTuple):
    """Counts, and sums in cents."""

    payments: int
    allocations: int
    allocated: int
    on_invoices: int


async def totals(database_url: str) -> Totals:
    connection = await asyncpg.connect(database_url)
    try:
        return Totals(*(await connection.fetchrow(_TOTALS) or ()))
    finally:
        await connection.close()


async def complaints(database_url: str, before: Totals, payments: int) -> list[str]:
    """Return what does not add up, so many payments of a euro after the totals before."""
    found = await totals(database_url)
    grown = Totals(*(now - then for now, then in zip(found, before, strict=True)))
    wanted = Totals(payments, payments, payments * AMOUNT_MINOR, payments * AMOUNT_MINOR)
    wrong = [
        f"{name}: {got} instead of {want}"
        for name, got, want in zip(Totals._fields, grown, wanted, strict=True)
        if got != want
    ]
    if not before.payments and (disagreeing := await _disagreeing(database_url)):
        wrong.append(f"{disagreeing} invoices disagree with their allocations")
    return wrong


async def _disagreeing(database_url: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval(_DISAGREEING))
    finally:
        await connection.close()
