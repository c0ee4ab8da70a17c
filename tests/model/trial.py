"""A scenario on the real books, step by step beside the model."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from random import Random

from schemas.invoice import InvoicePut
from schemas.orders import AllocationOrder
from tests.model.asked import Asked, Look, PutInvoice, PutWallet, Rules, Step
from tests.model.comparison import Comparison, expect
from tests.model.drawing import DAY, START
from tests.model.scenario import Scenario
from tests.model.wire import Sent, Wire
from worker.books.companies import put_policy
from worker.books.ledger import settle_batch
from worker.books.pending import take_pending
from worker.books.session import Session
from worker.books.statements import put_invoices
from worker.books.wallets import put_wallets
from worker.domain.errors import TransientError
from worker.domain.message import Message
from worker.domain.policy import DuplicateCheck, Overpayment, Policy
from worker.domain.request import Request, read_request, read_statement
from worker.domain.view import Moment
from worker.limits import IMMEDIATE_ATTEMPTS_MAX, PENDING_ROWS_MAX

BATCH_TAKES = timedelta(seconds=61)
"""Longer than a payment left undone is left alone, so that each look finds all that wait for an invoice."""
TAKE_EVENTS = """
    WITH taken AS (DELETE FROM outbox RETURNING id, event_id, replayed, correlation_id)
    SELECT t.replayed, t.correlation_id, o.body FROM taken t JOIN outcomes o USING (event_id) ORDER BY t.id
"""
ROUND_BATCHES_MAX = 4
RACING_STEPS_MAX = 5
RACING_LOOKS = 4
ATTEMPTS_MAX = 50
"""Of a step by itself. Workers that race need a few."""

Numbered = tuple[int, Step]


class Trial:
    """A run of a scenario by several workers. Where they race, the order in which the outbox was written tells who won:
    an event is written while all that it depends on is locked.
    """

    def __init__(self, run: int, scenario: Scenario, sessions: Sequence[Session], random: Random) -> None:
        self._wire = Wire(run, scenario.rules)
        self.comparison = Comparison(self._wire, scenario.rules)
        self.tried_again = 0
        rules = {self._wire.company(company): rules for company, rules in scenario.rules.items()}
        self._policies = {company: to_policy(company, of) for company, of in rules.items()}
        self._batches = list(numbered(scenario))
        self._steps = {number: step for batch in self._batches for number, step in batch}
        self._sessions = sessions
        self._random = random
        self._now = START
        self._is_racing = False

    async def in_turn(self) -> None:
        """Do one batch after the other, each by any of the workers."""
        await self._begin()
        for batch in self._batches:
            for kind, steps in groupby(batch, lambda numbered: _kind(numbered[1])):
                session, of_kind = self._random.choice(self._sessions), list(steps)
                if kind == "ask":
                    await self._settle(session, of_kind)
                    await self._hear([number for number, _ in of_kind])
                elif kind == "look":
                    await self._look(session)
                    await self._hear([])
                    self.comparison.expect_nothing_forgotten(self._now)
                else:
                    await self._put(session, of_kind)
                await self._compare_balances()
                self._now += BATCH_TAKES
        await self._finish()

    async def at_once(self) -> None:
        """Do several batches at the same time: what is put first, then by all workers what is asked."""
        await self._begin()
        rest = self._batches
        while rest:
            size = self._random.randint(2, ROUND_BATCHES_MAX)
            batches, rest = rest[:size], rest[size:]
            for each in (numbered for batch in batches for numbered in batch):
                if isinstance(each[1], PutInvoice | PutWallet):
                    await self._put(self._sessions[0], [each])
            await self._race([each for batch in batches for each in batch if isinstance(each[1], Asked)])
            await self._compare_balances()
            self._now += BATCH_TAKES
        await self._finish()

    async def _race(self, asked: list[Numbered]) -> None:
        async def work(session: Session) -> None:
            for batch in waiting:
                await self._settle(session, batch)

        async def look(session: Session) -> None:
            for _ in range(RACING_LOOKS):
                await self._look(session)

        # In any order, so that a payment, its cancellation and its like are in the hands of several workers.
        waiting = iter(self._cut(self._random.sample(asked, len(asked))))
        self._is_racing = True
        looking, *working = self._sessions
        # All come to their end before an error is told: the sessions are used again to look for a shorter scenario.
        ends = await asyncio.gather(look(looking), *map(work, working), return_exceptions=True)
        for error in ends:
            if error is not None:
                raise error
        await self._hear([number for number, _ in asked])
        self._is_racing = False

    def _cut(self, steps: list[Numbered]) -> list[list[Numbered]]:
        batches = []
        while steps:
            size = self._random.randint(1, RACING_STEPS_MAX)
            batches.append(steps[:size])
            steps = steps[size:]
        return batches

    async def _begin(self) -> None:
        async with self._sessions[0].connection() as connection:
            # What a run that failed left behind would be taken for this one's.
            await connection.execute("DELETE FROM pending; DELETE FROM outbox")
            for policy in self._policies.values():
                await put_policy(connection, policy)

    async def _finish(self) -> None:
        """Let so much time go by that nothing waits any more."""
        self._now += 3 * DAY
        await self._look(self._sessions[0])
        await self._hear([])
        await self._compare_balances()
        expect("what is undone in the end", set(), self.comparison.model.undone())

    async def _put(self, session: Session, batch: Sequence[Numbered]) -> None:
        puts = [(number, step) for number, step in batch if isinstance(step, PutInvoice | PutWallet)]
        invoices, wallets = [], []
        for number, step in puts:
            sent = self._wire.send(step, number)
            policy = self._policies[sent.company]
            put = read_statement(_message(sent), policy)
            if isinstance(put, InvoicePut):
                invoices.append((policy, put))
            else:
                wallets.append((policy, put))
        refusals = await put_invoices(session, invoices, self._now) or await put_wallets(session, wallets)
        for index, (number, step) in enumerate(puts):
            expect(f"whether {number} {step} is refused", self.comparison.model.put(step), index in refusals)

    async def _settle(self, session: Session, batch: Sequence[Numbered]) -> None:
        """Settle the batch as a lane does: tried again if another worker was in the way, then cut in half."""
        sent = [self._wire.send(step, number) for number, step in batch if isinstance(step, Asked)]
        requests = [read_request(_message(each), self._policies[each.company], self._now.date()) for each in sent]
        for _ in range(IMMEDIATE_ATTEMPTS_MAX if len(batch) > 1 else ATTEMPTS_MAX):
            if await self._try(session, requests):
                return
        expect("what never gets through", [], batch if len(batch) == 1 else [])
        middle = len(batch) // 2
        await self._settle(session, batch[:middle])
        await self._settle(session, batch[middle:])

    async def _look(self, session: Session) -> None:
        """Look again at what was left undone, as the worker does by itself."""
        async with session.transaction() as connection:
            taken = await take_pending(connection, self._now, PENDING_ROWS_MAX)
        requests = [
            read_request(message, self._policies[message.company], self._now.date()).again(fingerprint)
            for message, fingerprint in taken
        ]
        await self._try(session, requests)

    async def _try(self, session: Session, requests: Sequence[Request]) -> bool:
        try:
            if requests:
                await settle_batch(session, requests, self._policies, Moment(self._now))
        except TransientError:
            self.tried_again += 1
            return False
        return True

    async def _hear(self, asked: Sequence[int]) -> None:
        """Take the events that were written, and compare them in their order."""
        async with self._sessions[0].connection() as connection:
            rows = await connection.fetch(TAKE_EVENTS)
        answered = []
        for row in rows:
            number = int(row["correlation_id"])
            step = self._steps[number]
            assert isinstance(step, Asked)
            is_first = self.comparison.hear(
                number, step, row["body"], self._now, is_replay=row["replayed"], is_racing=self._is_racing
            )
            if is_first:
                answered.append(number)
        expect("which steps are answered", list(asked), sorted(answered) if self._is_racing else answered)

    async def _compare_balances(self) -> None:
        async with self._sessions[0].connection() as connection:
            await self.comparison.balances(connection)


def numbered(scenario: Scenario) -> Iterator[list[Numbered]]:
    """Return the batches, each step with its number in the whole."""
    number = 0
    for batch in scenario.batches:
        yield list(enumerate(batch, start=number))
        number += len(batch)


def to_policy(company: str, rules: Rules) -> Policy:
    """Return the rules as the worker knows them."""
    return Policy(
        company=company,
        currency=rules.currency,
        allocation=AllocationOrder(rules.order),
        overpayment=Overpayment.REJECT if rules.rejects_overpayment else Overpayment.KEEP,
        duplicates=DuplicateCheck(rules.duplicates),
        tolerance_minor=rules.tolerance,
        tolerance_percent=None if rules.tolerance_percent is None else Decimal(rules.tolerance_percent),
        hide_foreign=rules.hides_foreign,
        books_closed_until=rules.closed_until,
        await_invoice_s=rules.awaits_s,
    )


def _kind(step: Step) -> str:
    match step:
        case PutInvoice():
            return "put invoice"
        case PutWallet():
            return "put wallet"
        case Look():
            return "look"
    return "ask"


def _message(sent: Sent) -> Message:
    return Message(
        routing_key=f"{sent.topic}.{sent.company}",
        body=sent.body,
        type=sent.type,
        message_id=sent.key,
        correlation_id=sent.correlation_id,
    )
