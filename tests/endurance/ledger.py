"""The downstream: a ledger with a durable queue and a memory of its own, which knows nothing but the events it gets."""

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from tests.endurance.link import AWAY_PAUSE_S, CONNECT_TIMEOUT_S, connected, tolerating_outages
from tests.endurance.world import COMPONENTS, DIGITS, read

QUEUE = "endurance.ledger"
PREFETCH = 500

TABLES = """
    PRAGMA journal_mode = off;
    PRAGMA synchronous = off;
    CREATE TABLE events (
        event_id BLOB PRIMARY KEY, digest BLOB, company TEXT, key TEXT, statusid INTEGER, reason TEXT, currency TEXT,
        amount INTEGER, unfocused INTEGER, cancels TEXT, times INTEGER DEFAULT 1, is_changed INTEGER DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE moves (
        event_id BLOB, line INTEGER, company TEXT, billcode TEXT, capital INTEGER, interest INTEGER, noticefee INTEGER,
        PRIMARY KEY (event_id, line)
    ) WITHOUT ROWID;
    CREATE TABLE answers (
        step INTEGER, event_id BLOB, times INTEGER DEFAULT 1, replays INTEGER, PRIMARY KEY (step, event_id)
    ) WITHOUT ROWID;
    CREATE TABLE oddities (event_id BLOB, what TEXT);
"""
PUT_EVENT = """
    INSERT INTO events (event_id, digest, company, key, statusid, reason, currency, amount, unfocused, cancels)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET times = times + 1, is_changed = is_changed OR digest <> excluded.digest
"""
PUT_ANSWER = """
    INSERT INTO answers (step, event_id, replays) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET times = times + 1, replays = replays + excluded.replays
"""
PUT_MOVE = "INSERT OR IGNORE INTO moves VALUES (?, ?, ?, ?, ?, ?, ?)"


class Ledger:
    """Keeps each event and acknowledges it then. `has_answer` says of each step whether nothing is owed to it."""

    def __init__(self, file: Path, has_answer: bytearray) -> None:
        self.memory = sqlite3.connect(file, isolation_level=None)
        self.memory.executescript(TABLES)
        self.has_answer = has_answer
        self.owed = has_answer.count(0)
        self.answered = 0
        self.deliveries = 0
        self.last_answer_at = time.monotonic()
        self._arrived: list[AbstractIncomingMessage] = []
        self._has_arrived = asyncio.Event()
        self._has_taken = asyncio.Event()

    async def run(self, url: str) -> None:
        """Consume until cancelled, on as many connections as it takes."""
        while True:
            with tolerating_outages():
                async with connected(url) as connection:
                    await self._consume(connection)
            await asyncio.sleep(AWAY_PAUSE_S)

    async def more_answers(self) -> None:
        """Wait for the next events to be taken."""
        await self._has_taken.wait()

    async def _consume(self, connection: AbstractConnection) -> None:
        self._arrived.clear()
        channel = await connection.channel()
        underlay = await channel.get_underlay_channel()
        underlay.closing.add_done_callback(lambda _: self._has_arrived.set())
        await channel.set_qos(PREFETCH)
        queue = await channel.get_queue(QUEUE, ensure=False)
        await queue.consume(self._on_event, timeout=CONNECT_TIMEOUT_S)
        while not underlay.is_closed:
            await self._has_arrived.wait()
            self._has_arrived.clear()
            if self._arrived:
                arrived, self._arrived = self._arrived, []
                self._keep(arrived)
                await arrived[-1].ack(multiple=True)
                self._has_taken.set()
                self._has_taken = asyncio.Event()

    async def _on_event(self, message: AbstractIncomingMessage) -> None:
        self._arrived.append(message)
        self._has_arrived.set()

    def _keep(self, messages: Sequence[AbstractIncomingMessage]) -> None:
        """Write the events down in one transaction."""
        events: list[tuple[object, ...]] = []
        answers: list[tuple[int, bytes, bool]] = []
        moves: list[tuple[object, ...]] = []
        oddities: list[tuple[bytes, str]] = []
        for message in messages:
            event: dict[str, Any] = json.loads(message.body)
            event_id = UUID(event["event_id"]).bytes
            event_row, event_moves = _read(event)
            events.append((event_id, _digest(message.body), *event_row))
            moves += [(event_id, *move) for move in event_moves]
            oddities += [(event_id, what) for what in contradictions(event, message)]
            answers.append((int(message.correlation_id or -1), event_id, bool(message.headers["replayed"])))
        self.memory.execute("BEGIN")
        self.memory.executemany(PUT_EVENT, events)
        self.memory.executemany(PUT_ANSWER, answers)
        self.memory.executemany(PUT_MOVE, moves)
        self.memory.executemany("INSERT INTO oddities VALUES (?, ?)", oddities)
        self.memory.execute("COMMIT")
        self.deliveries += len(messages)
        for step, _, _ in answers:
            if 0 <= step < len(self.has_answer) and not self.has_answer[step]:
                self.has_answer[step] = 1
                self.answered += 1
                self.last_answer_at = time.monotonic()


def _digest(body: bytes) -> bytes:
    """Return what stands for the body, byte for byte: Postgres can compute the same."""
    return hashlib.md5(body, usedforsecurity=False).digest()


def _read(event: dict[str, Any]) -> tuple[tuple[object, ...], list[tuple[object, ...]]]:
    """Return the event's row and, where it moves money, what it moves line by line."""
    currency, company = event["currency"], event["company"]
    cancels = event["cancels"]["idempotency_key"] if event["cancels"] is not None else None
    amounts = (read(event["amount"], currency), read(event["unfocused"], currency))
    row = (company, event["idempotency_key"], event["statusid"], event["reason"], currency, *amounts, cancels)
    if not moves_money(event):
        return row, []
    return row, [
        (number, company, line["billcode"], *(read(line[f"focusedto{name}"], currency) for name in COMPONENTS))
        for number, line in enumerate(event["lines"])
    ]


def moves_money(event: dict[str, Any]) -> bool:
    return bool(event["statusid"] == 6 or event["reason"] == "cancelled")


def contradictions(event: dict[str, Any], message: AbstractIncomingMessage) -> list[str]:
    """Return what the event says that cannot be, taken by itself."""
    found = []
    currency = event["currency"]
    if currency not in DIGITS:
        return [f"currency {currency}"]
    for part in (event, *event["lines"]):
        focused = [read(part[f"focusedto{name}"], currency) for name in COMPONENTS]
        before = [read(part[f"{name}before"], currency) for name in COMPONENTS]
        after = [read(part[f"{name}after"], currency) for name in COMPONENTS]
        if read(part["amount"], currency) != sum(focused) + read(part["unfocused"], currency):
            found.append("amount is not focused + unfocused")
        if any(b != f + a for b, f, a in zip(before, focused, after, strict=True)) or min(after) < 0:
            found.append("before is not focused + after, or after is below zero")
        if any(focused) and not moves_money(event):
            found.append("focuses an amount, and was not booked")
    said = (message.message_id, message.headers["statusid"], message.headers["idempotency-key"])
    if said != (event["event_id"], event["statusid"], event["idempotency_key"]):
        found.append("properties and body disagree")
    if message.routing_key != f"outcome.{event['company']}.{event['status'].lower()}":
        found.append(f"came under {message.routing_key}")
    return found
