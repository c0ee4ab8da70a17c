"""Private servers from the system's own packages, in a fresh directory, on free ports, as an unprivileged user."""

import signal
import subprocess
from abc import ABC, abstractmethod

from deploy.servers.answers import await_answer
from deploy.servers.janitor import Janitor
from deploy.servers.place import Command, Place

STOP_TIMEOUT_S = 120.0


class NativeServer(ABC):
    """A server of this machine that is our own child process."""

    name: str
    sweep: str
    """What the janitor has to call it."""
    stop_signal: signal.Signals

    def __init__(self, place: Place, janitor: Janitor) -> None:
        self.place = place
        self.janitor = janitor
        self.log = place.folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> tuple[Command, dict[str, str]]:
        """The command that runs the server, and its environment."""

    @abstractmethod
    def ask(self) -> None:
        """Raise unless the server answers."""

    @abstractmethod
    def strike(self, pid: int) -> None:
        """Kill the server and all its processes."""

    def launch(self) -> None:
        """Start without waiting for it to answer."""
        self.process = self.place.run(*self.command(), self.log)
        self.janitor.adopt(self.sweep, self.process)

    def await_ready(self) -> None:
        process = self.running()
        await_answer(self.name, self.ask, lambda: process.poll() is not None, self.log_tail)

    def start(self) -> None:
        self.launch()
        self.await_ready()

    def stop(self) -> None:
        process = self.running()
        process.send_signal(self.stop_signal)
        process.wait(STOP_TIMEOUT_S)
        self.janitor.drop(self.sweep, process.pid)

    def kill(self) -> None:
        process = self.running()
        self.strike(process.pid)
        process.wait(STOP_TIMEOUT_S)
        self.janitor.drop(self.sweep, process.pid)

    def restart(self) -> None:
        self.stop()
        self.start()

    def running(self) -> "subprocess.Popen[bytes]":
        if self.process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.process

    def log_tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " / ".join(lines[-4:])
