"""The figures of a run, as a table and as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

VIOLATIONS_SHOWN = 10


@dataclass
class Recoveries:
    """Seconds after a blow, when a killed worker is replaced or a restarted server answers again."""

    count: int
    next_answer_median_s: float
    next_answer_max_s: float
    oldest_owed_median_s: float
    oldest_owed_max_s: float

    @classmethod
    def of(cls, times: Iterable[tuple[float, float]]) -> "Recoveries":
        nexts, oldest = zip(*times, strict=True)
        amounts = (statistics.median(nexts), max(nexts), statistics.median(oldest), max(oldest))
        return cls(len(nexts), *(round(amount, 2) for amount in amounts))


@dataclass
class Figures:
    """All that is to be told of a run. Counts unless a unit says otherwise."""

    command: str
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    payments: int = 0
    steps: int = 0
    duplicates: int = 0
    conflicts: int = 0
    cancellations: int = 0
    unreadable: int = 0
    published: int = 0
    confirmed: int = 0
    published_again: int = 0
    outcome_deliveries: int = 0
    distinct_events: int = 0
    events_by_reason: dict[str, int] = field(default_factory=dict)
    bookings: int = 0
    allocations: int = 0
    dead_letters: int = 0
    blows: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, Recoveries] = field(default_factory=dict)
    errors_logged: dict[str, int] = field(default_factory=dict)
    duration_s: float = 0.0
    answers_per_s: float = 0.0
    oldest_worker_s: float = 0.0
    oldest_worker_peak_mib: float = 0.0
    database_mib: float = 0.0
    checks_s: float = 0.0
    audit: str = ""
    violations_count: int = 0
    violations: list[str] = field(default_factory=list)
    evidence: str | None = None

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def table(self) -> str:
        return "\n".join(f"{name:<34} {said}" for name, said in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        for name, amount in asdict(self).items():
            title = name.replace("_", " ")
            if name == "violations":
                yield from (("", text) for text in amount)
            elif isinstance(amount, dict):
                yield title, ""
                yield from ((f"  {part}", _told(said)) for part, said in amount.items())
            elif amount is not None:
                yield title, _told(amount)


def _told(amount: Any) -> str:
    if isinstance(amount, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_told(said)}" for name, said in amount.items())
    return f"{amount:,}" if isinstance(amount, int | float) else str(amount)


def machine() -> str:
    """Return what this machine is: its processor, cores and memory."""
    found = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    processor = found[0] if found else platform.machine()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()}"


def own_versions() -> dict[str, str]:
    packages = ("payment-worker", "aio-pika", "asyncpg", "uvloop")
    return {"Python": platform.python_version()} | {name: version(name) for name in packages}
