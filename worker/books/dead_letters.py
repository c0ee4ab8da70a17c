"""Dead letters as ops sees them: filed once each, counted, and resolved only when the message got through."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from worker.books.rows import columns, document
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.dead_letter import DeadLetter
from worker.domain.errors import DeadLetterReason

State = Literal["open", "replayed", "resolved", "discarded"]


@dataclass(frozen=True, slots=True)
class FiledLetter:
    """A dead letter that is in the books."""

    id: int
    state: State
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did about a letter."""

    action: Literal["replayed", "edited", "discarded"]
    actor: str
    why: str | None


async def file_dead_letters(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Write the letters down, in order. One that is known already is open again and counted once more."""
    await connection.executemany(
        query("file_dead_letter"),
        [
            (
                letter.identity,
                letter.reason.value,
                letter.company,
                letter.idempotency_key,
                letter.type,
                _escaped(letter.text),
                document(list(letter.errors)),
                _escaped(letter.routing_key),
                letter.body,
                document(letter.properties),
                _escaped(letter.arrival),
            )
            for letter in sorted(letters, key=lambda letter: letter.identity)
        ],
    )


def _escaped(text: str) -> str:
    """Return the text with what Postgres cannot hold, NUL and lone surrogates, written out."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()


async def resolve_dead_letters(connection: Connection, letters: Sequence[tuple[int, str]]) -> None:
    """Mark replayed letters, by id and company, whose message has now been processed."""
    await connection.execute(query("resolve_dead_letters"), *columns(letters))


async def list_dead_letters(
    connection: Connection, *, reason: str | None, company: str | None, state: str | None, rows_max: int
) -> list[dict[str, Any]]:
    """Return the latest letters that fit, the newest first, each with what a list shows of it."""
    rows = await connection.fetch(query("list_dead_letters"), reason, company, state, rows_max)
    return [dict(row) for row in rows]


async def group_dead_letters(connection: Connection, state: str) -> list[dict[str, Any]]:
    """Return how many letters in that state share reason, company and type, the largest group first."""
    return [dict(row) for row in await connection.fetch(query("group_dead_letters"), state)]


async def choose_dead_letters(
    connection: Connection, *, reason: str | None = None, group: str | None = None
) -> list[int]:
    """Return the ids of the open letters: of a reason, of a group, or all."""
    return [row["id"] for row in await connection.fetch(query("choose_dead_letters"), reason, group)]


async def show_dead_letter(connection: Connection, letter_id: int) -> dict[str, Any] | None:
    """Return all that is kept of a letter, and what was done about it; None where there is none of that id."""
    row = await connection.fetchrow(query("show_dead_letter"), letter_id)
    if row is None:
        return None
    actions = await connection.fetch(query("dead_letter_actions"), letter_id)
    parsed = {name: json.loads(row[name]) for name in ("errors", "properties")}
    return {**dict(row), **parsed, "actions": [_action(action) for action in actions]}


def _action(row: Any) -> dict[str, Any]:
    before = row["properties_before"]
    return dict(row) | {"properties_before": None if before is None else json.loads(before)}


async def lock_dead_letters(connection: Connection, ids: Iterable[int]) -> list[FiledLetter]:
    """Return the letters of those ids that exist, locked until the transaction ends."""
    return [
        FiledLetter(
            id=row["id"],
            state=row["state"],
            letter=DeadLetter(
                reason=DeadLetterReason(row["reason"]),
                text=row["error"],
                routing_key=row["routing_key"],
                body=row["body"],
                properties=json.loads(row["properties"]),
                arrival="",
            ),
        )
        for row in await connection.fetch(query("lock_dead_letters"), list(ids))
    ]


async def mark_dead_letters(connection: Connection, ids: Iterable[int], state: State, deed: Deed) -> None:
    """Put the letters into the state and write down what was done, by whom and why."""
    await connection.execute(query("mark_dead_letters"), list(ids), state, deed.action, deed.actor, deed.why)


async def edit_dead_letter(connection: Connection, letter_id: int, edited: DeadLetter, deed: Deed) -> None:
    """Give the letter the body and the properties of the edited one, and write down who did that and what they were.

    Should the edited message fail again, it is this letter that counts it. Where the very same message is a letter
    already, the database refuses: ContendedError.
    """
    await connection.execute(
        query("edit_dead_letter"),
        letter_id,
        edited.body,
        document(edited.properties),
        edited.type,
        edited.idempotency_key,
        edited.identity,
        deed.action,
        deed.actor,
        deed.why,
    )
