"""The load under which faults happen: many small payments of a few invoices."""

import asyncio
from collections.abc import Iterable

from tests.site import Event, Site

INVOICES = 10
PAYMENT_CENTS = 100


async def invoices(site: Site, count: int = INVOICES, capital_cents: int = 1_000_000) -> None:
    """Have invoices b0, b1, ... in the books before any worker runs."""
    await site.database.execute(
        "INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)"
        " SELECT 'acme', 'b' || n, 'EUR', 'OPEN', 1, $2, 0, 0 FROM generate_series(0, $1 - 1) AS n",
        count,
        capital_cents,
    )


async def pay_many(site: Site, count: int, invoice_count: int = INVOICES, start: int = 0) -> None:
    """Publish payments of 1.00 with the keys k0, k1, ..., each invoice's in turn."""
    async with asyncio.TaskGroup() as group:
        for number in range(start, start + count):
            body = {"amount": "1.00", "billcode": f"b{number % invoice_count}"}
            group.create_task(site.pay(body, key=f"k{number}"))


async def events_of(site: Site, keys: int, seen: Iterable[Event] = ()) -> list[Event]:
    """Return what arrives until each key has had an event, after what has been seen already."""
    seen = list(seen)
    known = {event.body["idempotency_key"] for event in seen}
    while len(known) < keys:
        seen.append(await site.next_event())
        known.add(seen[-1].body["idempotency_key"])
    return seen
