"""One thing changed: the worker with it and without it, in turns, on fresh books or on two that differ."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from deploy.servers.progress import say
from tests.benchmarks.contestants import WORKER, Contestant
from tests.benchmarks.payments import Load
from tests.benchmarks.stage import INVOICES, Stage
from tests.benchmarks.trial import Result, run

Trial = Callable[[int], Result]
"""Runs once; told the number of the round."""


@dataclass(frozen=True)
class Side:
    """A worker, or several, and what they are given."""

    load: Load
    contestant: Contestant = WORKER


@dataclass(frozen=True)
class Pair:
    """Two sides, and how many times as fast as the other the first is at least to be."""

    title: str
    goal: float
    changed: Side
    base: Side


def pairs(messages: int) -> dict[str, Pair]:
    """Return the pairs by the names of their steps."""
    plain = Side(Load(messages, INVOICES))
    one_invoice = Side(Load(messages, 1))
    repeats = Side(Load(messages, INVOICES, repeat_every=5))
    two, four = (Side(plain.load, replace(WORKER, processes=count)) for count in (2, 4))
    return {
        "one-invoice": Pair("All payments on one invoice, beside 5,000 invoices", 0.7, one_invoice, plain),
        "duplicates": Pair("20 % duplicates, beside none", 1.0, repeats, plain),
        "two-processes": Pair("Two worker processes, beside one", 1.0, two, plain),
        "four-processes": Pair("Four worker processes, beside one", 1.0, four, plain),
    }


def compare(stage: Stage, pair: Pair, rounds: int) -> dict[str, Any]:
    """Run both in turns and return the rows."""

    def trial(side: Side) -> Trial:
        return lambda _: run(stage, side.contestant, side.load)

    rows = in_turns(pair.title, trial(pair.changed), trial(pair.base), rounds)
    return {"title": pair.title, "goal": pair.goal, **rows}


def in_turns(title: str, changed: Trial, base: Trial, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Run both so often; which of them goes first changes from round to round."""
    found: dict[str, list[dict[str, Any]]] = {"changed": [], "base": []}
    for number in range(rounds):
        order = [("changed", changed), ("base", base)]
        for name, trial in order if number % 2 else reversed(order):
            result = trial(number)
            found[name].append(result.row())
        say(f"{title}: {found['changed'][-1]['per_s']:,.0f}/s beside {found['base'][-1]['per_s']:,.0f}/s")
    return found
