"""A worker in a process of its own, as `payment-worker run` starts it."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from worker.domain.errors import PermanentError
from worker.settings import PREFIX

Found = TypeVar("Found")

DEADLINE_S = 30.0
"""What is awaited takes a second at most; after this something is wrong."""
END_DEADLINE_S = 35.0
"""A little more than the worker gives itself to end in good order."""
LOG_LINES_KEPT = 30


class UnexpectedError(PermanentError):
    """The demo did not go as it must."""


class WorkerProcess:
    """Runs while entered by running(). Its log is not shown, but kept in case that something goes wrong."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ready = asyncio.Event()
        self._reading = asyncio.create_task(self._read_log())
        self.log: deque[str] = deque(maxlen=LOG_LINES_KEPT)
        self.http_port = 0

    async def ready(self) -> None:
        """Wait until it takes messages."""
        await self.expect(self._ready.wait(), "the worker's start")

    async def expect(self, awaited: Awaitable[Found], what: str) -> Found:
        """Return what is awaited. Raises UnexpectedError where the worker ends or DEADLINE_S pass before it comes."""
        waiting = asyncio.ensure_future(awaited)
        try:
            await asyncio.wait({waiting, self._reading}, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
        finally:
            waiting.cancel()
        why = "the worker ended" if self._reading.done() else f"waited {DEADLINE_S:.0f} s"
        raise UnexpectedError(f"{what} did not come: {why}")

    async def ended(self) -> None:
        """Wait until it ends by itself."""
        await asyncio.shield(self._reading)

    async def end(self) -> None:
        """Have it finish what is in hand, and end it anyhow where it does not."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(END_DEADLINE_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read_log(self) -> None:
        if self._process.stderr is None:
            return
        async for line in self._process.stderr:
            text = line.decode(errors="replace").rstrip()
            self.log.append(text)
            self._heed(text)

    def _heed(self, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            return
        match said:
            case {"event": "started", "http_port": int(port)}:
                self.http_port = port
            case {"event": "taking messages"}:
                self._ready.set()


@asynccontextmanager
async def running() -> AsyncIterator[WorkerProcess]:
    """Give the block a worker on the servers of the environment, with its HTTP on a free port of this machine."""
    own = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": "0", "LOG_FORMAT": "json", "LOG_LEVEL": "info"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from worker.cli import main; main()", "run"),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        env=os.environ | {PREFIX + name: value for name, value in own.items()},
    )
    worker = WorkerProcess(process)
    try:
        yield worker
    finally:
        await worker.end()
