"""A worker process that says all that it can be brought to say, and what it said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.integration.command_line import DEADLINE_S, CommandLine

LOUD = {
    "PAYMENT_WORKER_LOG_LEVEL": "debug",
    "PYTHONDEVMODE": "1",
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONFAULTHANDLER": "1",
}
"""All that makes Python and its libraries say more than they do by themselves."""


@asynccontextmanager
async def loud_worker(line: CommandLine, *program: str) -> AsyncIterator["LoudWorker"]:
    """A worker process at its loudest; what it says is kept."""
    process = await line.start("run", environment=LOUD, program=program)
    worker = LoudWorker(process)
    try:
        yield worker
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(DEADLINE_S):
            await worker.ended()


class LoudWorker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._changed = asyncio.Condition()
        self._lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    @property
    def said(self) -> str:
        return "".join(self._lines)

    async def until(self, words: str, times: int = 1) -> str:
        """Return the first line with the words, once there are so many."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: sum(words in each for each in self._lines) >= times)
        return next(each for each in self._lines if words in each)

    async def ended(self) -> None:
        await self._reading
        await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stderr is not None
        assert self._process.stdout is not None
        async for each in self._process.stderr:
            async with self._changed:
                self._lines.append(each.decode())
                self._changed.notify_all()
        self._lines.append((await self._process.stdout.read()).decode())
