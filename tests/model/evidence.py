"""What must hold of events and books in whatever order things happened: no model is asked, the events tell it all."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg

from tests.model.asked import NOTHING, Amounts, Pay, PutInvoice, PutWallet, minus, total
from tests.model.comparison import expect
from tests.model.traffic import Traffic, number_of
from tests.model.wire import amounts, contradictions, minor
from tests.site import Event

Body = Mapping[str, Any]
OPEN = """
    SELECT company, billcode, capital - capital_allocated, interest - interest_allocated,
        noticefee - noticefee_allocated
    FROM invoices
"""


def moved(events: Iterable[Event]) -> dict[tuple[str, str], Event]:
    """Return the events that moved money, by company and key. A key has at most one, however often it came."""
    found: dict[tuple[str, str], Event] = {}
    for event in events:
        body = event.body
        if body["statusid"] == 6 or body["reason"] == "cancelled":
            first = found.setdefault((body["company"], body["idempotency_key"]), event)
            expect("the one event that moved money under a key", first.message.body, event.message.body)
    return found


def check_events(traffic: Traffic) -> None:
    """Every step is answered; an event is always the same bytes; only what moved money is replayed."""
    expect("steps that are answered", set(range(len(traffic.asked))), {number_of(event) for event in traffic.events})
    bodies: dict[str, bytes] = {}
    finals = {event.body["event_id"] for event in moved(traffic.events).values()}
    for event in traffic.events:
        expect("an event again", bodies.setdefault(event.body["event_id"], event.message.body), event.message.body)
        expect(f"what {event.body} says of itself", [], contradictions(event.body))
        if event.replayed:
            expect(f"replays of {event.body}, which moved no money,", finals, finals | {event.body["event_id"]})


def check_cancellations(traffic: Traffic) -> None:
    """A cancellation that was done takes back just what its payment moved, and no payment is cancelled twice."""
    finals = moved(traffic.events)
    undone: Counter[tuple[str, str]] = Counter()
    for (company, _), event in finals.items():
        if event.body["reason"] == "cancelled":
            name = company, event.body["cancels"]["idempotency_key"]
            undone[name] += 1
            expect(f"what the cancellation of {name} takes back", _moves(finals[name].body, -1), _moves(event.body, 1))
    expect("payments cancelled twice", [], [name for name, times in undone.items() if times > 1])


async def check_balances(
    traffic: Traffic, puts: Sequence[PutInvoice | PutWallet], database: asyncpg.Connection
) -> None:
    """What is open is what was stated less what the events say, and a wallet is drawn by what it paid."""
    wire, finals = traffic.wire, moved(traffic.events)
    entries: defaultdict[tuple[str, str], list[Amounts]] = defaultdict(list)
    drawn: Counter[tuple[str, str]] = Counter()
    for (company, key), event in finals.items():
        for line in event.body["lines"]:
            entries[company, line["billcode"]] += [amounts(line, "focusedto{}"), amounts(line, "writtenoff{}")]
        cancels = event.body["cancels"]
        payment = finals[company, cancels["idempotency_key"] if cancels is not None else key]
        step = traffic.asked[number_of(payment)]
        if isinstance(step, Pay) and step.wallet is not None:
            drawn[company, wire.wallet(step.wallet)] += minor(event.body["amount"])
    stated = {
        (wire.company(put.company), str(wire.invoice((put.company, put.number))["billcode"])): put.stated
        for put in puts
        if isinstance(put, PutInvoice)
    }
    owed = {name: minus(amount, total(entries[name])) for name, amount in stated.items()}
    rows = await database.fetch(OPEN)
    expect("what is open", owed, {tuple(row)[:2]: tuple(row)[2:] for row in rows})
    rows = await database.fetch("SELECT company, number, drawn FROM wallets WHERE drawn <> 0")
    expect(
        "what wallets paid",
        {name: sum_ for name, sum_ in drawn.items() if sum_},
        {tuple(r)[:2]: r["drawn"] for r in rows},
    )


def _moves(body: Body, sign: int) -> list[tuple[object, ...]]:
    """Return what an event moved, line by line, times the sign."""
    parts = [
        (line["billcode"], minor(line["amount"]), amounts(line, "focusedto{}"), amounts(line, "writtenoff{}"))
        for line in body["lines"]
    ]
    signed = [
        (name, sign * amount, *(minus(NOTHING, part) if sign < 0 else part for part in (focused, written_off)))
        for name, amount, focused, written_off in parts
    ]
    return [*signed, (minor(body["amount"]) * sign, minor(body["unfocused"]) * sign, minor(body["surcharge"]) * sign)]
