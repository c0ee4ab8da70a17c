"""Thousands of small worlds, in which workers are killed, servers lost and statements failed at any step."""

from collections.abc import Iterator, Sequence

import pytest

from tests.model.seeds import seeds
from tests.places import Database
from tests.simulation.faults import Fault
from tests.simulation.simulation import Simulation, open_simulation

SEEDS = 10_000
SEEDS_OF_A_TEST = 2_500
STEPS = ("COMMIT", "delete_outbox", "publish to outcomes", "confirm", "deliver from registrations", "acknowledge")
"""Before and after which the seeds of a test kill workers many times. test_every_step.py has the others."""


@pytest.fixture
def simulation(database: Database) -> Iterator[Simulation]:
    with open_simulation(database.url) as simulation:
        yield simulation


def parts() -> list[Sequence[int]]:
    tried = seeds(SEEDS)
    return [tried[start : start + SEEDS_OF_A_TEST] for start in range(0, len(tried), SEEDS_OF_A_TEST)]


@pytest.mark.parametrize("tried", parts(), ids=lambda tried: f"{tried[0]} to {tried[-1]}")
def test_seeds_lose_nothing_and_do_nothing_twice(simulation: Simulation, tried: Sequence[int]) -> None:
    for seed in tried:
        simulation.run_seed(seed)
    simulation.audit()
    if len(set(tried)) == SEEDS_OF_A_TEST:
        assert {fault for _, fault in simulation.hit} == set(Fault)
        assert {(step, fault) for step in STEPS for fault in (Fault.KILL_BEFORE, Fault.KILL_AFTER)} <= set(
            simulation.hit
        )
        assert ("COMMIT", Fault.CUT_AFTER) in simulation.hit


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_comes_out_the_same_again(simulation: Simulation, seed: int) -> None:
    assert simulation.run_seed(seed).trace == simulation.run_seed(seed).trace
