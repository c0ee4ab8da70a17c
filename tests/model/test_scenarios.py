"""Random sequences of put, register, duplicate, conflict, cancel, replay and look again, beside a small model."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from typing import Literal

import pytest

from tests.model.scenario import Scenario, draw_scenario
from tests.model.seeds import report, seeds
from tests.model.trial import Trial
from tests.places import Database
from worker.books.audit import audit
from worker.books.session import Session

SEEDS = 150
"""As many as take about twenty seconds each way."""
SEEDS_BETWEEN_AUDITS = 50
WORKERS = 4
REASONS = {
    *("booked", "booked_possible_duplicate", "cancelled", "already_cancelled", "payment_cancelled"),
    *("payment_not_booked", "payment_not_found", "payment_of_another_company", "payment_is_cancellation"),
    *("idempotency_conflict", "invalid", "duplicate", "overpayment", "wrong_currency", "amount_zero"),
    *("wallet_not_found", "wallet_funds_insufficient", "invoice_closed", "invoice_cancelled", "invoice_not_found"),
    *("invoice_awaited", "invoice_of_another_company", "period_closed", "paydate_in_future"),
}
"""What the scenarios come to; so that none of it gets lost unnoticed where they are changed."""

Way = Literal["in_turn", "at_once"]


@pytest.fixture
async def sessions(database: Database) -> AsyncIterator[list[Session]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Session(database.url, f"worker {n}")) for n in range(WORKERS)]


class Scenarios:
    """Runs on one database, one after the other. Each has a number, and companies, invoices and keys of its own."""

    def __init__(self, sessions: list[Session], way: Way) -> None:
        self.reasons: Counter[str] = Counter()
        self.tried_again = 0
        self._sessions = sessions
        self._way = way
        self._seeds: list[int] = []
        """By the number of the run."""

    async def run(self, seed: int, scenario: Scenario) -> str | None:
        """Return what is wrong; None where nothing is."""
        random = Random(seed)  # noqa: S311 (it has to come out the same again)
        trial = Trial(len(self._seeds), scenario, self._sessions, random)
        self._seeds.append(seed)
        try:
            await (trial.in_turn() if self._way == "in_turn" else trial.at_once())
        except Exception as error:  # noqa: BLE001 (whatever it is, its seed is to be told)
            return f"{type(error).__name__}: {error}"
        self.reasons += trial.comparison.reasons
        self.tried_again += trial.tried_again
        return None

    async def audit(self, first_run: int = 0) -> tuple[int, str] | None:
        """Return the seed of a run that does not add up, and what does not; None where all do."""
        for finding in (await audit(self._sessions[0])).findings:
            run = int((finding.company or "run0-").removeprefix("run").split("-")[0])
            if run >= first_run:
                return self._seeds[run], str(finding)
        return None

    async def report(self, seed: int, problem: str, *, by_audit: bool) -> str:
        async def try_again(scenario: Scenario) -> str | None:
            problem = await self.run(seed, scenario)
            if problem is None and by_audit and (found := await self.audit(len(self._seeds) - 1)) is not None:
                _, problem = found
            return problem

        return await report(seed, self._way, draw_scenario(seed), problem, try_again)


@pytest.mark.parametrize("way", ["in_turn", "at_once"])
async def test_the_books_are_as_the_model_says(sessions: list[Session], way: Way) -> None:
    scenarios = Scenarios(sessions, way)
    tried = seeds(SEEDS)
    for count, seed in enumerate(tried, start=1):
        problem = await scenarios.run(seed, draw_scenario(seed))
        if problem is not None:
            pytest.fail(await scenarios.report(seed, problem, by_audit=False), pytrace=False)
        if count == len(tried) or count % SEEDS_BETWEEN_AUDITS == 0:
            found = await scenarios.audit()
            if found is not None:
                pytest.fail(await scenarios.report(*found, by_audit=True), pytrace=False)
    if len(set(tried)) >= SEEDS:
        assert set(scenarios.reasons) == REASONS
        assert (scenarios.tried_again > 0) == (way == "at_once")
