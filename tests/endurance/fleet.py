"""The workers: real `payment-worker run` processes, killed and replaced."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from deploy.servers.janitor import Janitor
from tests.integration.command_line import PROGRAM
from tests.site import eventually

END_S = 60.0
LOGGED = re.compile(r'"event": "([^"]*)", "level": "(?:error|critical)"|^(Traceback)', re.MULTILINE)


@dataclass
class Worker:
    name: str
    process: asyncio.subprocess.Process
    began: float
    peak_kib: int = 0
    age_s: float = 0.0

    @property
    def is_running(self) -> bool:
        return self.process.returncode is None

    def look(self) -> None:
        """Note how old the process is and the most memory that it has had resident."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            return
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            self.peak_kib = int(found[1])
            self.age_s = time.monotonic() - self.began


class Fleet:
    """So many workers at any time. One that ends without having been told to is noted in `deserted` and replaced."""

    def __init__(self, environment: Mapping[str, str], folder: Path, size: int) -> None:
        self._environment = dict(environment) | {"PYTHONUNBUFFERED": "1"}
        self._folder = folder
        self._size = size
        self._janitor = Janitor()
        self._workers: list[Worker] = []
        self._started = 0
        self._lock = asyncio.Lock()
        self.deserted: list[str] = []
        self.oldest: Worker | None = None

    async def start(self) -> None:
        while len(self._workers) < self._size:
            self._workers.append(await self._start_one())

    async def kill_one(self, draw: Random) -> None:
        """Kill one as it stands, and start another."""
        async with self._lock:
            self._look()
            await self.start()
            worker = draw.choice(self._workers)
            worker.process.kill()
            await worker.process.wait()
            self._drop(worker)
            await self.start()

    async def look(self) -> None:
        """Look after them: note their memory, replace what has ended by itself."""
        async with self._lock:
            self._look()
            await self.start()

    async def end(self) -> None:
        """End all in order, as SIGTERM does, and note who does not. Raises TimeoutError where one never began."""
        await eventually(self._are_working, within_s=END_S)
        self._look()
        for worker in list(self._workers):
            worker.process.terminate()
            try:
                status = await asyncio.wait_for(worker.process.wait(), END_S)
            except TimeoutError:
                status = None
            if status != 0:
                self.deserted.append(f"{worker.name}: SIGTERM came to status {status}")
        await self.close()

    def _look(self) -> None:
        for worker in list(self._workers):
            worker.look()
            if self.oldest is None or worker.age_s > self.oldest.age_s:
                self.oldest = worker
            if not worker.is_running:
                self.deserted.append(f"{worker.name} ended by itself with status {worker.process.returncode}")
                self._drop(worker)

    async def _are_working(self) -> bool:
        """Say whether each has come so far as to take messages, or has ended."""
        logs = (self._log(worker.name) for worker in self._workers if worker.is_running)
        return all(b"taking messages" in log.read_bytes() for log in logs)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    async def close(self) -> None:
        """Kill what still runs."""
        for worker in list(self._workers):
            if worker.is_running:
                worker.process.kill()
                await worker.process.wait()
            self._drop(worker)
        await asyncio.to_thread(self._janitor.close)

    def errors_logged(self) -> Counter[str]:
        """Return what the workers logged as errors, and how often."""
        found: Counter[str] = Counter()
        for log in sorted(self._folder.glob("worker-*.log")):
            text = log.read_text(encoding="utf-8", errors="replace")
            found.update(event or traceback for event, traceback in LOGGED.findall(text))
        return found

    async def _start_one(self) -> Worker:
        self._started += 1
        name = f"worker-{self._started:04}"
        with self._log(name).open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *PROGRAM,
                "run",
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # Ctrl-C is for the run, which ends its workers in order.
                start_new_session=True,
            )
        self._janitor.add("command", process.pid)
        return Worker(name, process, time.monotonic())

    def _drop(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._janitor.drop("command", worker.process.pid)
