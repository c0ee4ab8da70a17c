"""The processes of a contestant: started, killed in the middle, ended."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from deploy.servers.janitor import Janitor
from tests.benchmarks.accounting import resident_mib
from tests.benchmarks.contestants import Contestant
from tests.places import Vhost

END_S = 20.0
LOG_LINES = 8


def environment(vhost: Vhost, database_url: str) -> dict[str, str]:
    """Return what the programs are told of where to work."""
    return os.environ | {
        "PAYMENT_WORKER_AMQP_URL": vhost.amqp_url,
        "PAYMENT_WORKER_DATABASE_URL": database_url,
        "PAYMENT_WORKER_HTTP_PORT": "0",
        "PAYMENT_WORKER_HTTP_HOST": "127.0.0.1",
        "PAYMENT_WORKER_LOG_LEVEL": "error",
    }


class Crew:
    """All processes of a contestant, each in a group of its own; none outlives the block, nor this process."""

    def __init__(self, contestant: Contestant, surroundings: Mapping[str, str]) -> None:
        self._contestant = contestant
        self._environment = dict(surroundings)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the crew)
        self._janitor = Janitor()
        self.peak_mib = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.kill()
        self._janitor.close()
        self._log.close()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    @property
    def has_ended(self) -> bool:
        """True where one of them ended by itself."""
        return any(process.poll() is not None for process in self._processes)

    def start(self) -> None:
        for _ in range(self._contestant.processes):
            process = subprocess.Popen(
                self._contestant.command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._janitor.adopt("group", process)
            self._processes.append(process)

    def kill(self) -> None:
        """Kill them as they stand."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End them in order."""
        self._end(signal.SIGTERM)

    def look(self) -> None:
        """Note the most memory that they have had resident."""
        self.peak_mib = max(self.peak_mib, resident_mib(self.pids, peak=True))

    def log_tail(self) -> str:
        self._log.seek(0)
        return "\n".join(self._log.read().decode(errors="replace").splitlines()[-LOG_LINES:])

    def _end(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._janitor.drop("group", process.pid)
        self._processes.clear()
