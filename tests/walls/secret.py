"""Secrets that can be found again in whatever shape they come out, and where they may come out."""

import base64
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

CORES = {"amqp": "Kestrel7Vault", "database": "Osprey4Ledger", "wrong": "Merlin9Cellar"}
"""What stays legible of each password however a text of it is quoted or escaped."""


def password(core: str) -> str:
    """Return a password with all that a URL, a shell or a log could stumble over."""
    return f"é@/:% {core}?#&='\"€"


def with_login(url: str, user: str, core: str) -> str:
    parts = urlsplit(url)
    login = f"{quote(user, safe='')}:{quote(password(core), safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def shapes(core: str) -> list[str]:
    """Return what to look for: the core as it is, in hexadecimal digits, and within anything in base64."""
    encoded = []
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + core.encode())
        encoded.append(whole[4 if before else 0 : -4].decode())
    return [core, core.encode().hex(), *encoded]


def found(text: str, *cores: str) -> list[str]:
    """Return the lines of the text in which one of the secrets shows."""
    wanted = [shape.lower() for core in cores for shape in shapes(core)]
    return [line for line in text.splitlines() if any(shape in line.lower() for shape in wanted)]


def command_lines() -> str:
    """Return the command line of every process of this machine, a line a process."""
    told = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended meanwhile
            continue
    return "\n".join(told)
