"""The audit of what was told: no figure of any event can change unseen, in its lines or as a whole."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.integration.audited_books import PAYMENT, Books
from tests.integration.cancelled_books import cancelled_books
from tests.places import Database

UNCHECKED = {"statustext", "response", "errors", "cancels"}
"""Told for people, or once more in the source's own words: nothing in the books to compare them with."""
UNSTORED = {"jobid", "billnum", "billcode", "reference_number", "back_office_code", "external_id", "invoicestate"}
"""What the invoice was called and how it stood when the event was told. Only a sole line and the whole must agree."""
TOLD = {
    "one line": "part",
    "what was kept, and tolerated": "short-kept",
    "three lines": "two",
    "a wallet": "drawn-kept",
    "a cancellation": "cancel-short",
    "a cancellation of three lines": "cancel-two",
    "nothing booked": "unknown",
    "no invoice known": "void",
    "a cancellation that was not done": "cancel-never",
}


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with cancelled_books(database) as books:
        yield books


def changed(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the event again and again, each time with one value changed, and its name."""
    lines = event["lines"]
    moves_money = event["reason"] in ("booked", "cancelled")
    for name, value in event.items():
        if name == "lines":
            yield name, event | {"lines": [*lines, *(lines or [{"amount": "1.00"}])]}
        elif name == "cancels" and value is not None and moves_money:
            yield from ((f"cancels.{key}", event | {name: value | {key: other(value[key])}}) for key in value)
        elif name not in UNCHECKED and (name not in UNSTORED or len(lines) == 1):
            yield name, event | {name: other(value)}
    for i, line in enumerate(lines):
        for name, value in line.items():
            # References of what is not booked stand nowhere else, nor do names where there are several lines.
            if moves_money if name == "references" else name not in UNSTORED or len(lines) == 1:
                damaged = [*lines[:i], line | {name: other(value)}, *lines[i + 1 :]]
                yield f"lines.{i + 1}.{name}", event | {"lines": damaged}


def other(value: object) -> object:
    """Return another value that looks like it."""
    match value:
        case None:
            return "x"
        case dict():
            return {"x": "y"}
        case int():
            return value + 1
        case _:
            text = str(value)
            i = next((i for i, character in enumerate(text) if character.isdigit()), None)
            return text + "x" if i is None else text[:i] + str((int(text[i]) + 1) % 10) + text[i + 1 :]


@pytest.mark.parametrize("told", TOLD)
async def test_no_value_of_an_event_changes_unseen(books: Books, told: str) -> None:
    payment = PAYMENT.format(TOLD[told])
    event = await books.event(payment)
    unseen = []
    for name, damaged in changed(event):
        await books.tell(payment, damaged)
        found = await books.sliced(1_000)
        if set(found.counts) - {"outcome_disagrees", "outcome_unreadable"} or not found.counts:
            unseen.append((name, found.first))
    await books.tell(payment, event)

    assert unseen == []
    assert (await books.audit()).adds_up


async def test_no_figure_of_the_only_line_can_be_left_out(books: Books) -> None:
    payment = PAYMENT.format("part")
    event = await books.event(payment)
    lines: Any = event["lines"]
    found = {}
    figures = [name for name in lines[0] if name.endswith(("before", "after")) or name.startswith("focused")]
    for name in ("amount", "unfocused", *figures):
        await books.tell(payment, event | {"lines": [{key: lines[0][key] for key in lines[0] if key != name}]})
        found[name] = dict((await books.sliced(1_000)).counts)

    assert len(found) == 11
    assert all(counts == {"outcome_disagrees": 1} for counts in found.values()), found


async def test_a_cancellation_that_is_told_without_its_lines_is_sound(books: Books) -> None:
    payment = PAYMENT.format("cancel-two")
    event = await books.event(payment)

    await books.tell(payment, event | {"lines": []})
    assert (await books.audit()).adds_up

    await books.tell(PAYMENT.format("part"), await books.event(PAYMENT.format("part")) | {"lines": []})
    assert (await books.audit()).found == {"outcome_disagrees": 1}
