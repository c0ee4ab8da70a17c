import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence

import pytest

from worker.turns import Overlap, Turn


class Batches:
    """Batches of one item each, that note how far they have come, and go on when they are let."""

    def __init__(self, *items: str, names: dict[str, set[object]] | None = None) -> None:
        self.seen: list[str] = []
        self.waiting = deque(items)
        self.failing: set[str] = set()
        self._names = names or {}
        self._let: dict[str, asyncio.Event] = {}
        self.let(*(f"{item} diverts" for item in items))
        self.overlap = Overlap(self._work, self._following)

    def let(self, *stages: str) -> None:
        for stage in stages:
            self._event(stage).set()

    def hold(self, stage: str) -> None:
        self._event(stage).clear()

    def start(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while batch := self.overlap.taken() or self._following([]):
                await self.overlap.do(batch)
                self.seen.append(f"{batch[0]} done")
        finally:
            await self.overlap.give_up()

    def _following(self, _: Sequence[str]) -> Sequence[str]:
        return [self.waiting.popleft()] if self.waiting else []

    def _event(self, stage: str) -> asyncio.Event:
        return self._let.setdefault(stage, asyncio.Event())

    async def _work(self, batch: Sequence[str], turn: Turn) -> None:
        (item,) = batch
        await self._note(f"{item} begins", turn.take(self._names.get(item, {item})))
        await self._event(f"{item} locks").wait()
        turn.note_locked()
        await self._event(f"{item} writes").wait()
        if item in self.failing:
            raise ValueError(item)
        await self._note(f"{item} comes", turn.may_commit())
        turn.note_committed()
        await self._event(f"{item} diverts").wait()
        await self._note(f"{item} ends", turn.may_end())

    async def _note(self, stage: str, waiting: Awaitable[None]) -> None:
        await waiting
        self.seen.append(stage)


async def settled() -> None:
    """Let the loop turn until nothing moves any more."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_batch_is_begun_with_once_the_one_before_holds_its_locks() -> None:
    batches = Batches("a", "b")
    running = batches.start()
    await settled()
    assert batches.seen == ["a begins"]
    batches.let("a locks")
    await settled()
    assert batches.seen == ["a begins", "b begins"]
    batches.let("a writes", "b locks", "b writes")
    await running


async def test_no_more_than_two_batches_are_at_work() -> None:
    batches = Batches("a", "b", "c")
    running = batches.start()
    batches.let("a locks", "b locks")
    await settled()
    assert batches.seen == ["a begins", "b begins"]
    batches.let("a writes")
    await settled()
    assert batches.seen == ["a begins", "b begins", "a comes", "a ends", "a done", "c begins"]
    batches.let("b writes", "c locks", "c writes")
    await running


async def test_batches_take_effect_in_their_order() -> None:
    batches = Batches("a", "b")
    running = batches.start()
    batches.let("a locks", "b locks", "b writes")
    await settled()
    assert "b comes" not in batches.seen
    batches.let("a writes")
    await running
    assert batches.seen == ["a begins", "b begins", "a comes", "a ends", "b comes", "a done", "b ends", "b done"]


async def test_a_batch_takes_effect_while_the_one_before_sends_its_dead_letters_and_ends_after_it() -> None:
    """What it has locked is let go: others wait for it, and the broker may take its time."""
    batches = Batches("a", "b")
    batches.hold("a diverts")
    running = batches.start()
    batches.let("a locks")
    await settled()
    batches.let("a writes", "b locks", "b writes")
    await settled()
    assert batches.seen == ["a begins", "b begins", "a comes", "b comes"]
    batches.let("a diverts")
    await running
    assert batches.seen[4:] == ["a ends", "a done", "b ends", "b done"]


async def test_a_batch_that_names_what_the_one_before_names_waits_until_that_is_done() -> None:
    batches = Batches("a", "b", names={"a": {1, 2}, "b": {2}})
    running = batches.start()
    batches.let("a locks")
    await settled()
    assert batches.seen == ["a begins"]
    batches.let("a writes", "b locks", "b writes")
    await running
    assert batches.seen.index("a done") < batches.seen.index("b begins")


async def test_where_a_batch_fails_nothing_of_the_next_takes_effect_and_it_is_begun_with_anew() -> None:
    batches = Batches("a", "b")
    batches.failing.add("a")
    batches.let("a locks", "b locks", "b writes")
    tasks = asyncio.all_tasks()
    with pytest.raises(ValueError, match="a"):
        await do_and_write(batches, ["a"])
    assert batches.seen == ["a begins", "b begins"]
    assert asyncio.all_tasks() == tasks, "nothing is under way"
    assert batches.overlap.taken() == ["b"]
    assert batches.overlap.taken() == (), "it is the caller's now"
    await batches.overlap.do(["b"])
    assert batches.seen[2:] == ["b begins", "b comes", "b ends"]


async def test_where_the_next_fails_it_fails_in_its_turn() -> None:
    batches = Batches("a", "b")
    batches.failing.add("b")
    batches.let("a locks", "b locks", "b writes")
    running = batches.start()
    await settled()
    assert not running.done()
    batches.let("a writes")
    with pytest.raises(ValueError, match="b"):
        await running
    assert batches.seen[-1] == "a done"


async def test_what_is_cancelled_leaves_nothing_under_way() -> None:
    batches = Batches("a", "b")
    tasks = asyncio.all_tasks()
    running = batches.start()
    batches.let("a locks")
    await settled()
    assert batches.seen == ["a begins", "b begins"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == tasks


async def do_and_write(batches: Batches, batch: Sequence[str]) -> None:
    """Do the batch, the first that waits, and let it write once the next has begun."""
    batches.waiting.popleft()
    doing = asyncio.create_task(batches.overlap.do(batch))
    await settled()
    batches.let(f"{batch[0]} writes")
    await doing
