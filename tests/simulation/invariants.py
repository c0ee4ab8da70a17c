"""What must hold after each run, told from outside: by what was published, what came out, and the books."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pamqp.commands import Basic

from tests.simulation.postgres import Postgres
from tests.simulation.scenario import Fate, Message, Scenario

PAYMENTS = """
    SELECT p.idempotency_key AS key, p.statusid, p.event_id,
        CASE WHEN p.statusid = 6 OR p.cancels IS NOT NULL THEN p.amount - p.unfocused ELSE 0 END AS moved,
        (SELECT coalesce(sum(a.capital + a.interest + a.noticefee), 0) FROM allocations a WHERE a.payment_id = p.id)
            AS allocated
    FROM payments p WHERE p.company = ANY ($1)
"""
INVOICES = """
    SELECT billcode, capital - capital_allocated AS open, capital_allocated AS allocated,
        (SELECT coalesce(sum(a.capital), 0) FROM allocations a WHERE a.invoice_id = i.id) AS entries
    FROM invoices i WHERE company = ANY ($1)
"""
EVENTS = "SELECT event_id, body FROM outcomes WHERE company = ANY ($1)"
LETTERS = "SELECT reason, body, routing_key, state FROM dead_letters WHERE routing_key = ANY ($1)"

BOOKED, UNDONE = 6, 0


@dataclass
class Event:
    id: UUID
    key: str
    statusid: int
    reason: str
    body: bytes
    message: int
    """Number of the message that it answers."""
    replayed: bool


Told = Sequence[tuple[bytes, Basic.Properties]]


async def check(postgres: Postgres, scenario: Scenario, told: Told) -> None:
    companies = [policy.company for policy in scenario.policies]
    events = [_event(body, properties) for body, properties in told]
    payments = {row["key"]: row for row in await postgres.ask(PAYMENTS, companies)}
    check_events(events, await postgres.ask(EVENTS, companies))
    check_bookings(events, payments)
    check_ends(scenario, events, payments)
    check_letters(scenario, await postgres.ask(LETTERS, scenario.routing_keys()))
    for invoice in await postgres.ask(INVOICES, companies):
        expect(f"allocations of invoice {invoice['billcode']}", invoice["entries"], invoice["allocated"])
        assert invoice["open"] >= 0, f"less than nothing is open on {invoice['billcode']}"


def check_events(events: Sequence[Event], stored: Sequence[Any]) -> None:
    """What was written was told, and nothing else; an event is always the same bytes."""
    bodies = {row["event_id"]: row["body"] for row in stored}
    expect("events told and written", set(bodies), {event.id for event in events})
    for event in events:
        expect(f"the bytes of event {event.id}", bodies[event.id], event.body)
    told_first = {event.id for event in events if not event.replayed}
    expect("events told only as a replay", set(), {event.id for event in events} - told_first)


def check_bookings(events: Sequence[Event], payments: dict[str, Any]) -> None:
    """A key has one booking at most, of one event and with its effect once."""
    bookings: defaultdict[str, set[UUID]] = defaultdict(set)
    for event in events:
        if event.statusid == BOOKED:
            bookings[event.key].add(event.id)
    booked = {key: {row["event_id"]} for key, row in payments.items() if row["statusid"] == BOOKED}
    expect("bookings told and in the books", booked, dict(bookings))
    for key, row in payments.items():
        expect(f"the allocations of {key}", row["moved"], row["allocated"])


def check_ends(scenario: Scenario, events: Sequence[Event], payments: dict[str, Any]) -> None:
    """Each message is answered, or is a dead letter, as it deserves; and each key has a last word."""
    answered = {event.message for event in events}
    last_words = {event.key for event in events if event.statusid != UNDONE}
    for number, message in enumerate(scenario.messages):
        wants_answer = scenario.fate(message) in {Fate.ANSWERED, Fate.BOTH}
        is_answered = number in answered
        if scenario.fate(message) is not message.fate:  # the same letter twice is one letter, replayed once
            is_answered = any(each == message and i in answered for i, each in enumerate(scenario.messages))
        expect(f"an answer to message {number} ({message.key})", wants_answer, is_answered)
        if wants_answer:
            assert message.key in last_words, f"{message.key} was left undone"
            assert payments[message.key or ""]["statusid"] != UNDONE, f"{message.key} is undone"
    for event in events:
        if event.reason == "idempotency_conflict":
            bodies = {message.body for message in scenario.messages if message.key == event.key}
            assert len(bodies) > 1, f"{event.key} is in conflict with itself"


def check_letters(scenario: Scenario, letters: Sequence[Any]) -> None:
    """The dead letters are those that were to come, each filed once."""
    dead = {message for message in scenario.messages if message.fate in {Fate.DEAD, Fate.BOTH}}
    expected = Counter(_letter(scenario, message) for message in dead)
    found = Counter((row["reason"], row["body"], row["routing_key"], row["state"]) for row in letters)
    expect("dead letters", expected, found)


def _letter(scenario: Scenario, message: Message) -> tuple[str | None, bytes, str, str]:
    state = "resolved" if scenario.fate(message) is not message.fate else "open"
    return message.reason, message.body, message.routing_key, state


def _event(body: bytes, properties: Basic.Properties) -> Event:
    said, headers = json.loads(body), properties.headers or {}
    expect("message_id and event_id", said["event_id"], properties.message_id)
    return Event(
        id=UUID(said["event_id"]),
        key=said["idempotency_key"],
        statusid=said["statusid"],
        reason=said["reason"],
        body=body,
        message=int(properties.correlation_id or -1),
        replayed=bool(headers["replayed"]),
    )


def expect(what: str, expected: object, found: object) -> None:
    assert expected == found, f"{what}: expected {expected}, found {found}"
