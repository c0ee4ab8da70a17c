"""A batch in parts: while one waits for the database the next is read and decided. They take effect in their order."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet


class Turn:
    """A part's turn. It says how far the part has come, and waits for how far those before it have."""

    def __init__(self, number: int, before: "Turn | None") -> None:
        self.number = number
        self.before = before
        self.names: AbstractSet[object] = frozenset()
        self.has_locked = asyncio.Event()
        self.has_ended = asyncio.Event()

    async def begin(self) -> None:
        """Wait until the part before has its locks, and no more than one is still at work."""
        if self.before is not None:
            await self.before.has_locked.wait()
            if self.before.before is not None:
                await self.before.before.has_ended.wait()

    async def take(self, names: AbstractSet[object]) -> None:
        """Say what the part is about. Wait for the end of the part before where it is about any of the same."""
        self.names = names
        if self.before is not None and not names.isdisjoint(self.before.names):
            await self.before.has_ended.wait()

    def note_locked(self) -> None:
        """Let the next part begin: it waits for all that this one has locked."""
        self.has_locked.set()

    async def come(self) -> None:
        """Wait until all parts before have ended."""
        if self.before is not None:
            await self.before.has_ended.wait()

    def end(self) -> None:
        self.has_locked.set()
        self.has_ended.set()


async def in_turn(parts: int, work: Callable[[Turn], Awaitable[None]]) -> None:
    """Have the work done part by part, two of them at a time.

    Where one fails, those before it come to their end, those after it are cancelled, and its error is raised.
    """
    turns: list[Turn] = []
    for number in range(parts):
        turns.append(Turn(number, turns[-1] if turns else None))
    tasks = [asyncio.create_task(_take(turn, work), name=f"part {turn.number}") for turn in turns]
    try:
        for task in tasks:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _take(turn: Turn, work: Callable[[Turn], Awaitable[None]]) -> None:
    await turn.begin()
    await work(turn)
    turn.end()
