"""The figures of the growth steps as lines of a table, and as pictures."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Spread, ratio
from tests.benchmarks.standings import PARTS
from tests.benchmarks.svg import Line, lines

THROUGHPUT_PICTURE, MEMORY_PICTURE = "growth-throughput.svg", "growth-memory.svg"
TITLES = (
    "what was changed, beside what",
    "payments/s",
    "beside",
    "ratio, median (least–most)",
    "goal",
    "cores busy: program + Postgres + RabbitMQ",
    "beside",
)
MEMORY_GOAL_MIB = 150
_NONE = "–"
_MILLION = 1_000_000


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each comparison that was made, under TITLES."""
    if "books" in figures:
        for size in figures["books"]["sizes"]:
            title = f"{size['payments']:,} payments and {size['invoices']:,} invoices in the books, beside empty books"
            yield _compared(title, figures["books"]["goal"], size)
    for step in figures.values():
        if "changed" in step:
            yield _compared(step["title"], step["goal"], step)


def long_lines(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was seen of a backlog and of a long run."""
    if "backlog" in figures:
        found = figures["backlog"]
        at_work = _at_work(found["samples"])
        quarter = max(len(at_work) // 4, 1)
        first, last = (statistics.median(part) for part in (at_work[:quarter], at_work[-quarter:]))
        memory = f"memory {first:.0f} MiB in the first quarter, {last:.0f} in the last, at most {found['peak_mib']:.0f}"
        title = f"{found['messages']:,} messages waiting when the worker starts"
        yield title, f"{found['per_s']:,.0f}/s; {memory} (goal: under {MEMORY_GOAL_MIB})"
    if "long" in figures:
        found = figures["long"]
        halves = _halves(found["samples"])
        minutes = found["samples"][-1]["at_s"] / 60
        told = (f"{title} {halves[name][0]:,.0f}, {halves[name][1]:,.0f}" for name, title in _WATCHED.items())
        yield f"{minutes:.0f} minutes at {found['per_s']:,.0f}/s: most in each half", "; ".join(told)


def wrongs(figures: Mapping[str, Any]) -> list[str]:
    """Return what is not right in any step."""
    found: list[str] = []
    for name, step in figures.items():
        found += [f"{name}: {text}" for text in step.get("wrong", ())]
        for size in (step, *step.get("sizes", ())):
            for row in (*size.get("changed", ()), *size.get("base", ())):
                found += [f"{name}: {text}" for text in row["wrong"]]
                if row["lost"] or row["doubled"]:
                    found.append(f"{name}: {row['lost']} outcomes lost, {row['doubled']} told again")
    return found


def draw(figures: Mapping[str, Any], folder: Path) -> list[str]:
    """Write the pictures for which there are figures, and return their names."""
    drawn: dict[str, str] = {}
    if "books" in figures:
        drawn[THROUGHPUT_PICTURE] = _throughput(figures["books"]["sizes"])
    if "backlog" in figures:
        samples = [sample for sample in figures["backlog"]["samples"] if sample["outbox_rows"]]
        points = [(sample["payments"] / _MILLION, sample["resident_mib"]) for sample in samples]
        title = "Memory of the worker (MiB) over a backlog"
        drawn[MEMORY_PICTURE] = lines(title, "payments booked, millions", [Line("MiB", points)])
    for name, picture in drawn.items():
        (folder / name).write_text(picture, encoding="utf-8")
    return list(drawn)


def _throughput(sizes: Sequence[Mapping[str, Any]]) -> str:
    """Return the picture: each size of the books beside empty ones at the same time."""
    at = [size["payments"] / _MILLION for size in sizes]
    filled, empty = ([_median(size[side]) for size in sizes] for side in ("changed", "base"))
    given = [
        Line("empty books", list(zip(at, empty, strict=True)), "b"),
        Line("books so filled", [(0.0, empty[0]), *zip(at, filled, strict=True)], "a"),
    ]
    return lines("Payments per second, as the books grow", "payments in the books, millions", given)


_WATCHED = {
    "outbox_rows": "outbox rows",
    "outbox_dead_tuples": "dead tuples in it",
    "outbox_mib": "its size in MiB",
    "dead_tuples": "dead tuples in all tables",
    "resident_mib": "memory in MiB",
}


def _compared(title: str, goal: float, found: Mapping[str, Any]) -> tuple[str, ...]:
    changed, base = ([row["per_s"] for row in found[side]] for side in ("changed", "base"))
    compared = ratio(changed, base)
    return (
        title,
        str(Spread.of(changed)),
        str(Spread.of(base)),
        f"{compared.median:.2f} ({compared.least:.2f}–{compared.most:.2f})",
        f"{goal:g}",
        _cores(found["changed"]),
        _cores(found["base"]),
    )


def _cores(found: Sequence[Mapping[str, Any]]) -> str:
    """Return how many cores each kept busy."""
    busy = (statistics.median(row["cpu_us"].get(part, 0.0) * row["per_s"] / 1e6 for row in found) for part in PARTS)
    return " + ".join(f"{cores:.2f}" for cores in busy)


def _median(found: Sequence[Mapping[str, Any]]) -> float:
    return Spread.of([row["per_s"] for row in found]).median


def _at_work(samples: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the memory in each sample that was taken while there was work: a process that starts has little."""
    return [sample["resident_mib"] for sample in samples if sample["outbox_rows"]] or [samples[-1]["resident_mib"]]


def _halves(samples: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    middle = len(samples) // 2
    first, second = samples[:middle] or samples, samples[middle:]
    return {name: (max(each[name] for each in first), max(each[name] for each in second)) for name in _WATCHED}
