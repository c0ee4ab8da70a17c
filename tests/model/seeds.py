"""Which seeds are tried; and of one that fails, how to run it again and the shortest sequence that fails too."""

import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.model.asked import Step
from tests.model.scenario import Scenario

SHORTENING_S = 20.0
"""How long to look for a shorter sequence that fails too."""
RACING_TIMES = 20
"""How often to try a seed again where it may depend on who is faster."""

Fails = Callable[[Scenario], Awaitable[str | None]]
"""Runs a scenario and returns what is wrong; None where nothing is."""


def seeds(count: int) -> Sequence[int]:
    """Return so many seeds, times PAYMENT_WORKER_SEEDS_TIMES; or so often only the one that PAYMENT_WORKER_SEED is."""
    times = int(os.environ.get("PAYMENT_WORKER_SEEDS_TIMES", "1"))
    only = os.environ.get("PAYMENT_WORKER_SEED")
    return range(count * times) if only is None else [int(only)] * times


@contextmanager
def told_with(seed: int, test: str) -> Iterator[None]:
    """Let a failure of the block tell its seed."""
    try:
        yield
    except Exception as error:
        error.add_note(_again(seed, test))
        raise


async def report(seed: int, test: str, scenario: Scenario, problem: str, fails: Fails) -> str:
    """Return all that is to be known of a scenario that fails."""
    shortest, problem = await _shorten(scenario, problem, fails)
    rules = [f"  {company}: {rules}" for company, rules in shortest.rules.items()]
    batches = [f"  {list(batch)}" for batch in shortest.batches]
    return "\n".join([_again(seed, test), problem, "The shortest sequence found, batch by batch:", *rules, *batches])


def _again(seed: int, test: str) -> str:
    times = "" if test == "in_turn" else f"PAYMENT_WORKER_SEEDS_TIMES={RACING_TIMES} "
    return f"Seed {seed}. Again: PAYMENT_WORKER_SEED={seed} {times}python -m pytest tests/model -k {test}"


async def _shorten(scenario: Scenario, problem: str, fails: Fails) -> tuple[Scenario, str]:
    """Leave out half of the steps, a quarter, and so on down to single ones, as long as something is wrong."""
    deadline = time.monotonic() + SHORTENING_S
    steps = [(index, step) for index, batch in enumerate(scenario.batches) for step in batch]
    size = len(steps) // 2
    while size:
        start, is_shorter = 0, False
        while start < len(steps) and time.monotonic() < deadline:
            fewer = steps[:start] + steps[start + size :]
            still_wrong = await fails(_scenario(scenario, fewer))
            if still_wrong is None:
                start += size
            else:
                steps, problem, is_shorter = fewer, still_wrong, True
        size = size if is_shorter and size == 1 else size // 2
    return _scenario(scenario, steps), problem


def _scenario(scenario: Scenario, steps: list[tuple[int, Step]]) -> Scenario:
    batches = [tuple(step for index, step in steps if index == number) for number in range(len(scenario.batches))]
    return Scenario(scenario.rules, tuple(batch for batch in batches if batch))
