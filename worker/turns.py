"""Batches that overlap: while one waits for the database the next is at work. They take effect in their order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Turn:
    """A batch's turn. It says how far the batch has come, and waits for how far the one before it has."""

    def __init__(self, before: "Turn | None" = None) -> None:
        self.is_odd: bool = before is not None and not before.is_odd
        """Unlike that of the batch before, the only one that it can be at work with."""
        self.names: AbstractSet[object] = frozenset()
        self.before = before
        self.has_locked = asyncio.Event()
        self.has_committed = asyncio.Event()
        self._has_come = asyncio.Event()

    async def take(self, names: AbstractSet[object]) -> None:
        """Say what the batch is about. Wait until the one before is done where it is about any of the same."""
        self.names = names
        if self.before is not None and not names.isdisjoint(self.before.names):
            await self._has_come.wait()

    def note_locked(self) -> None:
        """Let the next batch begin: it waits for all that this one has locked."""
        self.has_locked.set()

    async def may_commit(self) -> None:
        """Wait until the batch before is committed."""
        if self.before is not None:
            await self.before.has_committed.wait()

    def note_committed(self) -> None:
        """Let the next batch be committed."""
        self.has_committed.set()

    async def may_end(self) -> None:
        """Wait until the batch before is done, its dead letters sent."""
        await self._has_come.wait()

    def come(self) -> None:
        """Take note that the batch before is done, or that there is none: this one is in hand now."""
        if self.before is not None:
            self.before.note_committed()
            self.before = None
        self._has_come.set()


class _Attempt(NamedTuple, Generic[Item]):
    batch: Sequence[Item]
    turn: Turn
    task: "asyncio.Task[None]"


class Overlap(Generic[Item]):
    """Has work done batch by batch, and begins with the next one once the one in hand has its locks.

    work: does it. following: takes the batch that comes after this one, or nothing where that is not to be begun with
    ahead. What it has taken, taken() returns; nothing else may be done before.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item], Turn], Awaitable[None]],
        following: Callable[[Sequence[Item]], Sequence[Item]],
    ) -> None:
        self._work = work
        self._following = following
        self._taken: Sequence[Item] = ()
        self._ahead: _Attempt[Item] | None = None

    def taken(self) -> Sequence[Item]:
        """Hand out the batch that has been taken ahead: it is the next to do. Nothing where there is none."""
        batch, self._taken = self._taken, ()
        return batch

    async def do(self, batch: Sequence[Item]) -> None:
        """Return once the batch is done. Raises what its work raises; nothing is under way then."""
        attempt = self._ahead or self._begin(batch)
        self._ahead = None
        attempt.turn.come()
        try:
            await attempt.turn.has_locked.wait()
            if not attempt.task.done():
                self._begin_ahead(attempt)
            await asyncio.wait([attempt.task])
            attempt.task.result()
        except BaseException:
            await self._stop(attempt, self._ahead)
            raise

    async def give_up(self) -> None:
        """Stop what is under way ahead."""
        await self._stop(self._ahead)

    async def _stop(self, *attempts: _Attempt[Item] | None) -> None:
        self._ahead = None  # what it was taken for is begun with anew, when it is its turn
        tasks = [attempt.task for attempt in attempts if attempt is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin_ahead(self, attempt: _Attempt[Item]) -> None:
        if not self._taken and (batch := self._following(attempt.batch)):
            self._taken = batch
            self._ahead = self._begin(batch, attempt.turn)

    def _begin(self, batch: Sequence[Item], before: Turn | None = None) -> _Attempt[Item]:
        turn = Turn(before)
        return _Attempt(batch, turn, asyncio.create_task(self._take_turn(batch, turn)))

    async def _take_turn(self, batch: Sequence[Item], turn: Turn) -> None:
        try:
            await self._work(batch, turn)
        finally:
            turn.note_locked()
