import asyncio
from collections.abc import Awaitable

import pytest

from worker.turns import Turn, in_turn


class Parts:
    """Parts that note how far they have come, and go on when they are let."""

    def __init__(self, names: dict[int, set[object]] | None = None) -> None:
        self.seen: list[str] = []
        self._names = names or {}
        self._let: dict[str, asyncio.Event] = {}

    def let(self, *stages: str) -> None:
        for stage in stages:
            self._event(stage).set()

    def _event(self, stage: str) -> asyncio.Event:
        return self._let.setdefault(stage, asyncio.Event())

    async def work(self, turn: Turn) -> None:
        await self._note(f"{turn.number} begins", turn.take(self._names.get(turn.number, {turn.number})))
        await self._event(f"{turn.number} locks").wait()
        turn.note_locked()
        await self._event(f"{turn.number} writes").wait()
        if f"{turn.number} fails" in self._let:
            raise ValueError(turn.number)
        await self._note(f"{turn.number} comes", turn.come())

    async def _note(self, stage: str, waiting: Awaitable[None]) -> None:
        await waiting
        self.seen.append(stage)


async def settled() -> None:
    """Let the loop turn until nothing moves any more."""
    for _ in range(20):
        await asyncio.sleep(0)


async def started(count: int, parts: Parts) -> "asyncio.Task[None]":
    task = asyncio.create_task(in_turn(count, parts.work))
    await settled()
    return task


async def test_a_part_begins_once_the_one_before_holds_its_locks() -> None:
    parts = Parts()
    task = await started(2, parts)
    assert parts.seen == ["0 begins"]
    parts.let("0 locks")
    await settled()
    assert parts.seen == ["0 begins", "1 begins"]
    parts.let("0 writes", "1 locks", "1 writes")
    await task


async def test_no_more_than_two_parts_are_at_work() -> None:
    parts = Parts()
    task = await started(3, parts)
    parts.let("0 locks", "1 locks")
    await settled()
    assert parts.seen == ["0 begins", "1 begins"]
    parts.let("0 writes")
    await settled()
    assert parts.seen == ["0 begins", "1 begins", "0 comes", "2 begins"]
    parts.let("1 writes", "2 locks", "2 writes")
    await task


async def test_parts_take_effect_in_their_order() -> None:
    parts = Parts()
    task = await started(2, parts)
    parts.let("0 locks", "1 locks", "1 writes")
    await settled()
    assert "1 comes" not in parts.seen
    parts.let("0 writes")
    await task
    assert parts.seen == ["0 begins", "1 begins", "0 comes", "1 comes"]


async def test_a_part_about_a_payment_of_the_one_before_waits_for_its_end() -> None:
    parts = Parts({0: {"a", "b"}, 1: {"b"}})
    task = await started(2, parts)
    parts.let("0 locks")
    await settled()
    assert parts.seen == ["0 begins"]
    parts.let("0 writes", "1 locks", "1 writes")
    await task
    assert parts.seen == ["0 begins", "0 comes", "1 begins", "1 comes"]


async def test_where_a_part_fails_those_before_it_end_and_those_after_it_never_take_effect() -> None:
    parts = Parts()
    task = await started(4, parts)
    parts.let("0 locks", "1 locks", "1 fails", "1 writes")
    await settled()
    assert not task.done(), "the part before is still at work"
    parts.let("0 writes", "2 locks", "2 writes")
    with pytest.raises(ValueError, match="1"):
        await task
    assert [stage for stage in parts.seen if "comes" in stage] == ["0 comes"]


async def test_what_is_cancelled_leaves_no_part_at_work() -> None:
    parts = Parts()
    before = asyncio.all_tasks()
    task = await started(3, parts)
    parts.let("0 locks")
    await settled()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
