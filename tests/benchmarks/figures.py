"""What was measured, where and with what: kept as JSON, read again by the report."""

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg

from deploy.dependencies.lock import read_lock
from deploy.servers import Servers
from deploy.servers.answers import ask_management
from tests.benchmarks.peers.environment import LOCK
from tests.endurance.figures import machine

RESULTS = Path(__file__).parent / "results"
_OWN = ("aio-pika", "asyncpg", "uvloop", "pydantic", "msgspec")
_PEERS = ("faststream", "dramatiq", "psycopg", "pika")


@dataclass(frozen=True)
class Spread:
    """The median of several rounds, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:,.0f} ({self.least:,.0f}–{self.most:,.0f})"


def ratio(numbers: Sequence[float], to: Sequence[float]) -> Spread:
    """Return how many times as much the first are as the second, round by round."""
    return Spread.of([one / other for one, other in zip(numbers, to, strict=True)])


async def surroundings(servers: Servers) -> dict[str, Any]:
    """Return date, machine and versions."""
    overview = json.loads(ask_management(servers.management_url))
    database = await asyncpg.connect(servers.database_url)
    try:
        postgres = str(await database.fetchval("SHOW server_version"))
    finally:
        await database.close()
    pins, _ = read_lock(LOCK)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "servers": servers.way,
        "versions": {
            "Python": platform.python_version(),
            "RabbitMQ": overview["rabbitmq_version"],
            "Erlang": overview["erlang_version"],
            "PostgreSQL": postgres.split(maxsplit=1)[0],
            **{name: version(name) for name in _OWN},
            **{name: pins[name].version for name in _PEERS},
        },
    }


def write(file: Path, figures: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return figures
