"""Where a private server lives: its folder, the account it runs under, its ports."""

import os
import pwd
import random
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.servers.unavailable import Unavailable

# Below the range from which Linux takes the local ports of outgoing connections (32768 on), so that a server that is
# stopped for a while finds its port free again.
PORTS = range(15000, 32000)
_claims: list[socket.socket] = []

Command = list[str | Path]


@dataclass(frozen=True)
class Place:
    folder: Path
    account: pwd.struct_passwd | None
    """Whom to run as; None for ourselves."""

    def run(self, command: Command, environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
        """Start the command in a session of its own, its output appended to the log."""
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.account.pw_uid if self.account else None,
                group=self.account.pw_gid if self.account else None,
                extra_groups=[] if self.account else None,
            )

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        if self.account:
            os.chown(file, self.account.pw_uid, self.account.pw_gid)
        return file


def fresh_folder() -> Path:
    """A new folder that an unprivileged user can reach, wherever the checkout lies."""
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes a folder of our own there
        if all(step.stat().st_mode & 0o001 for step in (Path(parent), *Path(parent).resolve().parents)):
            folder = Path(tempfile.mkdtemp(prefix="payment-worker-", dir=parent))
            folder.chmod(0o711)
            return folder
    raise Unavailable("no temporary directory that an unprivileged user can reach; point TMPDIR to one")


def place(parent: Path, name: str, *accounts: str) -> Place:
    """A folder for one server, and the first of the accounts that exists if we are root."""
    folder = parent / name
    folder.mkdir(mode=0o700)
    account = None
    if os.geteuid() == 0:
        account = next(found for found in map(account_of, (*accounts, "nobody")) if found)
        os.chown(folder, account.pw_uid, account.pw_gid)
    return Place(folder, account)


def account_of(name: str) -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    return None


def free_ports() -> Iterator[int]:
    """Ports of this machine, free when handed out, and to nobody else who asks here as long as this process lives."""
    for port in random.sample(PORTS, len(PORTS)):
        if _is_free(port) and _claim(port):
            yield port
    raise Unavailable(f"no free port from {PORTS.start} to {PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Take the port's number for UDP: others see it, and the server, which may be long in starting, listens on TCP."""
    claim = socket.socket(type=socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True
