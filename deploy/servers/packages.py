"""The system's own PostgreSQL and RabbitMQ: where they are, and how they are installed where they are missing."""

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.servers.janitor import Janitor
from deploy.servers.progress import step
from deploy.servers.unavailable import Unavailable

POSTGRES_VERSION_MIN = 14
APT_LOCK_TIMEOUT_S = 600
POLICY = Path("/usr/sbin/policy-rc.d")
CLUSTER_POLICY = Path("/etc/postgresql-common/createcluster.d/payment-worker.conf")
SERVICES = {
    "postgresql": ["postgresql.service"],
    "rabbitmq-server": ["rabbitmq-server.service", "epmd.service", "epmd.socket"],
}


@dataclass(frozen=True)
class Programs:
    """The two servers' programs as installed."""

    postgres: Path
    """The folder that holds postgres and initdb."""
    postgres_version: int
    rabbitmq: Path
    """The folder that holds rabbitmq-server, past any wrapper that insists on the system's own user."""
    epmd: Path


def programs(janitor: Janitor) -> Programs:
    """Find the programs, installing with apt what is missing where this is root on Debian or Ubuntu."""
    if missing():
        install(janitor)
    postgres, rabbitmq, epmd = find_postgres(), find_rabbitmq(), shutil.which("epmd")
    if postgres is None or rabbitmq is None:
        raise Unavailable(f"{' and '.join(missing())} cannot be found even after apt-get installed them")
    if epmd is None:
        raise Unavailable("epmd, a part of Erlang, is not on the PATH")
    return Programs(postgres[1], postgres[0], rabbitmq, Path(epmd))


def missing() -> list[str]:
    """The names of the Debian packages that lack."""
    lacking = {"postgresql": find_postgres() is None, "rabbitmq-server": find_rabbitmq() is None}
    return [name for name, lacks in lacking.items() if lacks]


def find_postgres() -> tuple[int, Path] | None:
    folders = list(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    found = [(postgres_version(folder), folder) for folder in folders if (folder / "initdb").exists()]
    return max((version_at for version_at in found if version_at[0] >= POSTGRES_VERSION_MIN), default=None)


def postgres_version(folder: Path) -> int:
    server = folder / "postgres"
    if not server.exists():
        return 0
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"(\d+)", said)
    return int(version[1]) if version else 0


def find_rabbitmq() -> Path | None:
    candidates = [Path("/usr/lib/rabbitmq/bin/rabbitmq-server")]
    on_path = shutil.which("rabbitmq-server")
    if on_path:
        candidates.append(Path(on_path).resolve())
    return next((script.parent for script in candidates if script.exists()), None)


def install(janitor: Janitor) -> None:
    command = f"apt-get install {' '.join(missing())}"
    if not Path("/etc/debian_version").exists() or not shutil.which("apt-get"):
        raise Unavailable(
            f"install PostgreSQL {POSTGRES_VERSION_MIN} or newer and RabbitMQ 3.10 or newer"
            " with this system's package manager"
        )
    if os.geteuid() != 0:
        raise Unavailable(f"ask root to run: {command}")
    # One at a time; the lock is on a folder that is there anyway, so that nothing is left behind.
    descriptor = os.open("/etc/apt", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        names = missing()
        if names:
            with no_services_started(janitor), step(f"Installing {' and '.join(names)} with apt"):
                apt_get(janitor, "update", "-q")
                apt_get(janitor, "install", "-q", "-y", "--no-install-recommends", *names)
            keep_services_off(names)
    finally:
        os.close(descriptor)


@contextmanager
def no_services_started(janitor: Janitor) -> Iterator[None]:
    """Keep the packages from starting their services and from making a database cluster of their own."""
    policies = {POLICY: "#!/bin/sh\nexit 101\n", CLUSTER_POLICY: "create_main_cluster = false\n"}
    ours = {file: text for file, text in policies.items() if not file.exists()}
    for file, text in ours.items():
        janitor.add("file", file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
        file.chmod(0o755)
    try:
        yield
    finally:
        for file in ours:
            file.unlink(missing_ok=True)
            with suppress(OSError):
                file.parent.rmdir()
            janitor.drop("file", file)


def keep_services_off(names: list[str]) -> None:
    """What was installed for private servers must not bring up public ones at the next boot."""
    if shutil.which("systemctl"):
        units = [unit for name in names for unit in SERVICES[name]]
        subprocess.run(["systemctl", "disable", "--quiet", *units], capture_output=True, check=False)


def apt_get(janitor: Janitor, *arguments: str) -> None:
    """Run apt-get in a session of its own and to its end: a dpkg stopped half-way leaves a broken system."""
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={APT_LOCK_TIMEOUT_S}", *arguments]
    until = time.monotonic() + APT_LOCK_TIMEOUT_S
    while True:
        running = subprocess.Popen(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        janitor.add("install", running.pid)
        try:
            said, _ = running.communicate()
        except BaseException:
            running.communicate()
            raise
        finally:
            janitor.drop("install", running.pid)
        if running.returncode == 0:
            return
        # apt waits for dpkg's lock by itself, but not for the one on the package lists.
        if "Could not get lock" not in said or time.monotonic() > until:
            raise Unavailable(f"`{' '.join(command)}` failed: {' / '.join(said.strip().splitlines()[-3:])}")
        time.sleep(2)
