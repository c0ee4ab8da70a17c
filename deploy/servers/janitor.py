"""Sweeps up what a runner started, when the runner says so or has died of whatever cause.

A process of its own session whose standard input is a pipe that the runner alone holds. A line adds or drops a thing to
sweep: `+ group 123` (a process group), `+ database 123` (a PostgreSQL postmaster), `+ command 123` (a process to end),
`+ install 123` (a process to wait for), `+ directory /tmp/x`, `+ file /tmp/x`, `+ container <name>`, `+ network <name>`
(Docker's). At the end of input, that is when the runner is done or gone, all that is left is swept, the last one added
first.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

DATABASE_STOP_S = 10.0
COMMAND_STOP_S = 15.0
INSTALL_S = 600.0


class Janitor:
    """The runner's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            text=True,
        )
        self.pid = self._process.pid
        self._pipe = cast("IO[str]", self._process.stdin)
        self._children: list[subprocess.Popen[bytes]] = []

    def adopt(self, kind: str, child: "subprocess.Popen[bytes]") -> None:
        """Add a child process of the runner, which is reaped at the close."""
        self._children.append(child)
        self.add(kind, child.pid)

    def add(self, kind: str, name: object) -> None:
        self._tell(f"+ {kind} {name}")

    def drop(self, kind: str, name: object) -> None:
        self._tell(f"- {kind} {name}")

    def close(self) -> None:
        """Have all swept that was not dropped, and wait for it."""
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()
        for child in self._children:
            child.wait()

    def _tell(self, line: str) -> None:
        self._pipe.write(f"{line}\n")
        self._pipe.flush()


def sweep(kind: str, name: str) -> None:
    match kind:
        case "group":
            os.killpg(int(name), signal.SIGKILL)
            await_end(int(name), DATABASE_STOP_S)
        case "database":
            # SIGQUIT makes PostgreSQL stop at once and yet give back its shared memory, as SIGKILL would not.
            os.kill(int(name), signal.SIGQUIT)
            if not await_end(int(name), DATABASE_STOP_S):
                os.kill(int(name), signal.SIGKILL)
        case "command":
            os.kill(int(name), signal.SIGTERM)
            if not await_end(int(name), COMMAND_STOP_S):
                os.kill(int(name), signal.SIGKILL)
        case "install":
            await_end(int(name), INSTALL_S)
        case "directory":
            shutil.rmtree(name)
        case "file":
            Path(name).unlink(missing_ok=True)
        case "container" | "network":
            sweep_docker(kind, name)
        case _:
            raise ValueError(kind)


def await_end(pid: int, timeout_s: float) -> bool:
    """Whether the process, anybody's child, ended in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def sweep_docker(kind: str, name: str) -> None:
    from docker.errors import NotFound  # noqa: PLC0415 - only the Docker way needs them
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415

    engine = DockerClient().client
    with suppress(NotFound):
        if kind == "network":
            engine.networks.get(name).remove()
        else:
            engine.containers.get(name).remove(force=True, v=True)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left: list[tuple[str, str]] = []
    for line in sys.stdin:
        sign, kind, name = line.rstrip("\n").split(" ", 2)
        if sign == "+":
            left.append((kind, name))
        else:
            left.remove((kind, name))
    for kind, name in reversed(left):
        try:
            with suppress(ProcessLookupError):
                sweep(kind, name)
        except Exception as error:  # noqa: BLE001 - one thing that cannot be swept must not save the others
            print(f"Could not sweep the {kind} {name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
