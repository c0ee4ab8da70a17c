"""A private PostgreSQL from this system's programs."""

import os
import secrets
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from deploy.servers.answers import ask_database
from deploy.servers.janitor import Janitor, await_end
from deploy.servers.native import NativeServer
from deploy.servers.packages import Programs
from deploy.servers.place import Command, Place
from deploy.servers.unavailable import Unavailable

USER = "payment_worker"
CONNECTIONS_MAX = 200
CHILD_END_S = 10.0


class Postgres(NativeServer):
    """PostgreSQL as it comes, durable, on one port of 127.0.0.1 and without a socket in the file system."""

    name = "PostgreSQL"
    sweep = "database"
    stop_signal = signal.SIGINT

    def __init__(self, programs: Programs, place: Place, port: int, janitor: Janitor) -> None:
        super().__init__(place, janitor)
        self._programs = programs.postgres
        self._port = port
        self._password = secrets.token_hex(16)
        self._data = place.folder / "data"
        self.url = f"postgresql://{USER}:{self._password}@127.0.0.1:{port}/postgres"

    def create(self) -> None:
        """Make the empty database cluster."""
        password = self.place.write("password", self._password)
        # Without sync: the folder is new, and is gone with the server.
        command: Command = [self._programs / "initdb", "--pgdata", self._data, "--username", USER, "--no-sync"]
        command += ["--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"]
        if self.place.run(command, {}, self.log).wait() != 0:
            raise Unavailable(f"initdb failed: {self.log_tail()}")

    def command(self) -> tuple[Command, dict[str, str]]:
        settings = {
            "port": self._port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": CONNECTIONS_MAX,
            # In the data folder, so that a killed server leaves nothing in /dev/shm.
            "dynamic_shared_memory_type": "mmap",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "postgres", "-D", self._data, *options], {}

    def ask(self) -> None:
        ask_database(self.url)

    def strike(self, pid: int) -> None:
        # Backends are in sessions of their own, and would live on until they notice.
        backends = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        for each in (pid, *map(int, backends)):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        for backend in map(int, backends):
            await_end(backend, CHILD_END_S)
        self._drop_shared_memory()

    def _drop_shared_memory(self) -> None:
        """A power cut would have taken the System V segment too; its id is in the seventh line."""
        lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        with suppress(FileNotFoundError):
            subprocess.run(["ipcrm", "-m", lines[6].split()[1]], capture_output=True, check=False)
