"""Runs of one seed after another, on one loop and one database."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import structlog

from tests.simulation.faults import Fault, Plan, RandomPlan
from tests.simulation.loop import Loop
from tests.simulation.postgres import Postgres
from tests.simulation.process import simulated_servers, track_tasks
from tests.simulation.run import Run
from tests.simulation.scenario import Scenario, draw_scenario
from tests.simulation.world import World
from worker.books.audit import audit
from worker.books.session import Session

FAULTS = (0, 1, 2, 3, 5, 8)
FAULTS_PERCENT = (1.0, 3.0, 8.0)
"""At how many of the steps something goes wrong, until so many faults have happened."""
TRACE_LINES = 400
"""Of a run that fails: its last steps."""


class Simulation:
    """One world after another. Faults that happened in any of them are counted in `hit`."""

    def __init__(self, loop: Loop, runner: asyncio.Runner, postgres: Postgres, url: str) -> None:
        self.hit: Counter[tuple[str, Fault]] = Counter()
        self._loop = loop
        self._runner = runner
        self._postgres = postgres
        self._url = url
        self._runs = 0

    def run_seed(self, seed: int) -> World:
        """Run what the seed says. Raises AssertionError where something does not hold."""
        random = Random(f"faults of {seed}")  # noqa: S311 (it has to come out the same again)
        plan = RandomPlan(random, random.choice(FAULTS), random.choice(FAULTS_PERCENT))
        return self.run(draw_scenario(seed, self.next_name()), seed, plan)

    def run(self, scenario: Scenario, seed: int, plan: Plan, *, one_by_one: bool = False) -> World:
        world = World(self._loop, Random(seed), plan, one_by_one)  # noqa: S311
        try:
            self._runner.run(Run(world, self._postgres, scenario, seed).run())
        except Exception as error:
            error.add_note("\n".join(world.trace[-TRACE_LINES:]))
            error.add_note(
                f"Seed {seed}. Again: PAYMENT_WORKER_SEED={seed} python -m pytest tests/simulation -k test_seeds_lose"
            )
            raise
        self.hit += world.hit
        return world

    def next_name(self) -> str:
        """Return a name for a run's companies, which all live in one database."""
        self._runs += 1
        return f"run{self._runs}"

    def audit(self) -> None:
        """Raises AssertionError where the books do not add up."""

        async def ask() -> None:
            async with Session(self._url, "audit") as session:
                self._loop.io_in_flight += 1
                found = (await audit(session)).findings
                self._loop.io_in_flight -= 1
                assert not found, f"the audit finds {found[:5]}"

        self._runner.run(ask())


@contextmanager
def open_simulation(url: str) -> Iterator[Simulation]:
    loop = Loop()
    track_tasks(loop)
    postgres = Postgres(loop, url)
    logged = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with simulated_servers(), asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(postgres.start())
            yield Simulation(loop, runner, postgres, url)
            runner.run(postgres.close())
    finally:
        structlog.configure(**logged)
