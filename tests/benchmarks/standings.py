"""From the rounds of a comparison to a line for each contestant."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from tests.benchmarks.contestants import WORKER
from tests.benchmarks.cores import Cores
from tests.benchmarks.figures import Spread, ratio

PARTS = ("program", "postgres", "rabbitmq")
CORES: Final[Mapping[Cores, str]] = MappingProxyType(
    {
        "shared": "all on all cores",
        "together": "worker and Postgres on one half of them",
    }
)


@dataclass(frozen=True)
class Standing:
    """What all rounds of a contestant came to. CPU in µs a payment, by PARTS; lost and doubled after kills, if any."""

    name: str
    what: str
    per_s: Spread
    worker_is: Spread | None
    cpu_us: tuple[float, ...]
    peak_mib: float
    lost: int | None
    doubled: int | None

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the line as texts, under TITLES."""
        worker_is = self.worker_is
        return (
            f"{self.name}: {self.what}" if self.what else self.name,
            str(self.per_s),
            "1" if self.name == WORKER.name or worker_is is None else _times(worker_is),
            " + ".join(f"{used:,.0f}" for used in self.cpu_us),
            f"{self.peak_mib:,.0f}" if self.peak_mib else "–",
            "–" if self.lost is None else f"{self.lost} / {self.doubled}",
        )


TITLES = (
    "contestant",
    "payments/s, median (least–most)",
    "the worker is, times as fast",
    "CPU µs a payment: program + Postgres + RabbitMQ",
    "memory, MiB",
    "killed: outcomes lost / told again",
)


def standings(figures: dict[str, Any]) -> Iterator[Standing]:
    """Yield a line for each contestant, in the order in which they are named."""
    rounds = {name: _of(figures, name, killed=False) for name in figures["what"]}
    rates = {name: [row["per_s"] for row in rows] for name, rows in rounds.items()}
    for name, what in figures["what"].items():
        killed = _of(figures, name, killed=True)
        yield Standing(
            name,
            what,
            Spread.of(rates[name]),
            ratio(rates[WORKER.name], rates[name]) if WORKER.name in rates else None,
            tuple(statistics.median(row["cpu_us"].get(part, 0.0) for row in rounds[name]) for part in PARTS),
            max(row["peak_mib"] for row in rounds[name]),
            sum(row["lost"] for row in killed) if killed else None,
            sum(row["doubled"] for row in killed) if killed else None,
        )


LATENCY_TITLES = ("latency, median of the rounds (least–most)", *CORES.values(), "goal")


def latency_lines(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield what was measured of latency, with each arrangement of the cores, and the goal."""
    latencies = figures["latencies"]
    if not latencies:
        return
    rate = Spread.of([row["per_s"] for row in latencies])
    at = f"at half of the round's rate, {rate.median:,.0f} payments/s ({rate.least:,.0f}–{rate.most:,.0f})"
    rounds = [[row for row in latencies if row["cores"] == cores] for cores in CORES]
    for name, title, goal in (
        ("median_ms", f"publish to outcome {at}, median", "under 15 ms"),
        ("p99_ms", f"publish to outcome {at}, 99th percentile", "under 60 ms"),
        ("idle_median_ms", "single message on an idle worker, median", "under 10 ms"),
        ("idle_p99_ms", "single message on an idle worker, 99th percentile", ""),
    ):
        yield title, *(_milliseconds([row[name] for row in rows]) for rows in rounds), goal
    yield "CPU µs a payment meanwhile", *map(_used, rounds), ""


def _milliseconds(values: list[float]) -> str:
    if not values:
        return "–"
    found = Spread.of(values)
    return f"{found.median:.1f} ms ({found.least:.1f}–{found.most:.1f})"


def _used(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "–"
    used = (statistics.median(row["cpu_us"].get(part, 0.0) for row in rows) for part in (*PARTS, "prober"))
    return " + ".join(f"{each:,.0f}" for each in used) + " (who measures)"


def wrongs(figures: dict[str, Any]) -> list[str]:
    """Return what is not right: books that do not add up, outcomes lost or told twice though nobody was killed.

    That others lose outcomes when they are killed is a result like any other; the worker must not.
    """
    found = [f"{row['contestant']}: {text}" for row in figures["results"] for text in row["wrong"]]
    for row in figures["results"]:
        lost, doubled, kills = row["lost"], row["doubled"], row["kills"]
        if (lost or doubled) if not kills else (lost and row["contestant"] == WORKER.name):
            found.append(f"{row['contestant']}: {lost} outcomes lost, {doubled} told again, {kills} kills")
    return found


def _of(figures: dict[str, Any], name: str, *, killed: bool) -> list[dict[str, Any]]:
    return [row for row in figures["results"] if row["contestant"] == name and bool(row["kills"]) == killed]


def _times(found: Spread) -> str:
    return f"{found.median:.2f} ({found.least:.2f}–{found.most:.2f})"
