"""One fault of a kind at the first step that can have it, then at the second, and so on to the last."""

from collections.abc import Iterator

import pytest

from tests.places import Database
from tests.simulation.faults import Fault, FaultsAt, OneFault
from tests.simulation.scenario import Fate, Message, Scenario
from tests.simulation.simulation import Simulation, open_simulation
from tests.simulation.world import World
from worker.domain.policy import Policy

AWAITS_S = 60
STEPS = {
    *("connect to Postgres", "policies", "BEGIN", "look_up", "write_batch"),
    *("upsert_pending", "hold_payments", "update_payments", "delete_pending", "mark_cancelled"),
    *("wake_pending", "take_pending", "claim_outbox", "lock_oldest_outbox", "read_outbox", "delete_outbox"),
    *("file_dead_letter", "COMMIT", "ROLLBACK"),
    *("connect to RabbitMQ", "open a channel", "consume", "deliver from registrations", "deliver from invoices"),
    *("deliver from dead-letters", "publish to outcomes", "publish to retry.5s", "publish to dead-letter", "confirm"),
    "acknowledge",
}
"""At which, among others, it is to happen."""


@pytest.fixture
def simulation(database: Database) -> Iterator[Simulation]:
    with open_simulation(database.url) as simulation:
        yield simulation


def a_bit_of_everything(run: str) -> Scenario:
    """A payment twice and its cancellation, one that awaits its invoice, one that fails at first, an invalid one."""
    company = f"{run}-a"

    def pay(key: str, number: int, body: bytes | None = None, fate: Fate = Fate.ANSWERED) -> Message:
        said = b'{"billcode":"%s-%d","amount":"60.00","paydate":"2026-01-10"}' % (company.encode(), number)
        return Message(company, f"{run}-{key}", body or said, fate=fate, reason="invalid" if body else None)

    paid, late = pay("paid", 1), pay("late", 2)
    cancel = Message(company, f"{run}-cancel", b'{"payment":"%s-paid"}' % run.encode(), type="payment.cancel.v1")
    put = b'{"billcode":"%s-2","capital":"50.00","version":1}' % company.encode()
    return Scenario(
        run,
        [Policy(company=company, currency="EUR", await_invoice_s=AWAITS_S)],
        [(company, f"{company}-1")],
        [
            *(paid, late, paid, cancel, pay("fails", 1), pay("invalid", 1, b'{"amount":"much"}', Fate.BOTH)),
            Message(company, None, put, topic="invoice", type="invoice.put.v1", fate=Fate.TAKEN),
        ],
        workers=1,
        failures={f"{run}-fails": 1},
    )


ENDS = (Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.CUT_BEFORE, Fault.CUT_AFTER)
REFUSALS = (Fault.NACK, Fault.LOST, Fault.UNCONFIRMED, Fault.UNROUTED, Fault.CONSUMER_CANCELLED)


OUTAGES = (Fault.AWAY, Fault.SHUTDOWN, Fault.DISK_FULL)


def runs_at_every_step(simulation: Simulation, kind: Fault, *, fails: bool) -> Iterator[World]:
    """Run the scenario again and again, with the fault one step later each time, until there is none left."""
    plan = OneFault(kind, 0)
    while plan.at == 0 or plan.has_happened:
        plan = OneFault(kind, plan.at + 1)
        scenario = a_bit_of_everything(simulation.next_name())
        if not fails:
            scenario.failures.clear()
        yield simulation.run(scenario, 1, plan, one_by_one=True)
    simulation.audit()


@pytest.mark.parametrize("kind", [*ENDS, *REFUSALS])
def test_a_fault_at_any_one_step_loses_nothing_and_does_nothing_twice(simulation: Simulation, kind: Fault) -> None:
    runs = list(runs_at_every_step(simulation, kind, fails=True))
    assert len(runs) > 1
    assert kind in REFUSALS or {name for name, _ in simulation.hit} >= STEPS


@pytest.mark.parametrize("kind", OUTAGES)
def test_a_server_that_is_away_costs_no_message_an_attempt(simulation: Simulation, kind: Fault) -> None:
    for world in runs_at_every_step(simulation, kind, fails=False):
        assert not any("publish to retry" in line for line in world.trace)


def test_a_look_at_the_database_that_is_cancelled_does_not_end_the_worker(simulation: Simulation) -> None:
    plan = FaultsAt({"write_batch": Fault.CUT_BEFORE, "a look whether it answers": Fault.CANCELLED})
    simulation.run(a_bit_of_everything(simulation.next_name()), 1, plan)
    assert not plan.at
