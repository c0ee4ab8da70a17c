"""One run: a scenario through simulated workers, with faults, until the world has come to rest."""

import asyncio
import random as the_random

from pamqp.commands import Basic

from schemas.catalog import OUTCOMES, PAYMENTS
from tests.simulation.broker import Broker
from tests.simulation.declared import declare_topology
from tests.simulation.invariants import check
from tests.simulation.postgres import Postgres
from tests.simulation.process import Process, WorkerProcess
from tests.simulation.replay import replay_letters_of
from tests.simulation.scenario import REPLY_QUEUE, Message, Scenario
from tests.simulation.world import Step, World
from worker.books.companies import put_policy
from worker.domain.errors import DeadlineError

DOWNSTREAM = "downstream"
INVOICE = """
    INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)
    VALUES ($1, $2, 'EUR', 'OPEN', 0, 10000, 0, 0)
"""
WAITING = "SELECT FROM outbox UNION ALL SELECT FROM pending"
REST_S = 7_200.0
"""Virtual time within which a world has to come to rest, all retries and outages included."""
LOOK_S = 2.0
RESTART_S = (0.0, 0.5, 5.0)
TWICE_PERCENT = 15
"""How many messages the upstream publishes twice."""
AHEAD = 3
"""Among how many messages the next one is drawn."""
CLOSED_IN_ORDER_PERCENT = 20
"""How many runs end with workers that are told to stop; the others are killed."""


class Run:
    """A scenario on a world of its own; the server behind it is shared."""

    def __init__(self, world: World, postgres: Postgres, scenario: Scenario, seed: int) -> None:
        self.world = world
        self.is_over = False
        self.problem: BaseException | None = None
        self.restarting = 0
        self.broker = Broker(world)
        self.postgres = postgres
        self._scenario = scenario
        self._upstream = _Upstream(world, self.broker, list(enumerate(scenario.messages)))
        the_random.seed(seed)  # the worker's own jitter
        postgres.begin(world, scenario.failures)

    async def run(self) -> None:
        """Raises AssertionError where an invariant does not hold."""
        await self._set_up()
        workers = [_Worker(self, f"worker {number + 1}") for number in range(self._scenario.workers)]
        try:
            self._upstream.publish_next()
            await self._rest()
            if self._scenario.replays_letters:
                await self._replay()
                await self._rest()
            self.is_over = True
            if self.world.happens(CLOSED_IN_ORDER_PERCENT):
                for worker in workers:
                    worker.process.stop()
                await asyncio.wait([worker.process.main for worker in workers])
        finally:
            self.is_over = True
            for worker in workers:
                await worker.process.end()
        await self.world.settled()
        if self.problem is not None:
            raise self.problem
        told = [(each.body, each.properties) for each in self.broker.exchanges.queues[DOWNSTREAM].ready]
        await check(self.postgres, self._scenario, told)

    async def _set_up(self) -> None:
        exchanges = self.broker.exchanges
        await declare_topology(exchanges)
        exchanges.declare_queue(DOWNSTREAM, {})
        exchanges.bind(DOWNSTREAM, OUTCOMES, "#")
        exchanges.declare_queue(REPLY_QUEUE, {})
        async with self.postgres.outside() as connection:
            for policy in self._scenario.policies:
                await put_policy(connection, policy)
            await connection.executemany(INVOICE, self._scenario.invoices)

    async def _rest(self) -> None:
        """Wait until nothing is left to be done."""
        while not await self._is_at_rest():
            if self.problem is not None:
                raise self.problem
            assert self.world.now_s < REST_S, f"no rest within {REST_S:g} s: {self._left()}"
            await asyncio.sleep(LOOK_S)

    async def _is_at_rest(self) -> bool:
        is_quiet = not self.restarting and not self._upstream.unsent and not self._left()
        return is_quiet and not await self.postgres.ask(WAITING)

    def _left(self) -> dict[str, int]:
        """Return how many messages are in the worker's queues, delivered ones included."""
        queues = self.broker.exchanges.queues
        left = {name: len(queue.ready) + queue.unacknowledged for name, queue in queues.items()}
        return {name: count for name, count in left.items() if count and name not in {DOWNSTREAM, REPLY_QUEUE}}

    async def _replay(self) -> None:
        """Replay all dead letters as ops would, again and again until it has come through."""
        self.postgres.fails_on.clear()
        number = 0
        while True:
            number += 1
            ops = Process(f"ops {number}", self.world, self.broker, self.postgres)
            replaying = ops.run(replay_letters_of(ops, self._scenario.run))
            await asyncio.wait([replaying])
            await ops.end()
            if not replaying.cancelled() and replaying.result():
                return
            await asyncio.sleep(1.0)


class _Worker:
    """Somebody who starts a worker again whenever it has ended."""

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        self._name = name
        self._starts = 0
        self._start()

    def _start(self) -> None:
        self._starts += 1
        run = self._run
        name = self._name if self._starts == 1 else f"{self._name}, start {self._starts}"
        self.process = WorkerProcess(name, run.world, run.broker, run.postgres)
        self.process.main.add_done_callback(self._ended)

    def _ended(self, main: "asyncio.Task[None]") -> None:
        error = None if main.cancelled() else main.exception()
        if error is not None and not self.process.is_dead and not isinstance(error, DeadlineError):
            self._run.problem = error
        if not self._run.is_over:
            self._run.restarting += 1
            self._run.world.loop.create_task(self._restart())

    async def _restart(self) -> None:
        await self.process.end()
        await asyncio.sleep(self._run.world.random.choice(RESTART_S))
        self._run.restarting -= 1
        if not self._run.is_over:
            self._start()


class _Upstream:
    """Publishes one message after another, roughly in their order, some of them twice. Nothing happens to it."""

    name = "upstream"
    is_dead = False

    def __init__(self, world: World, broker: Broker, unsent: list[tuple[int, Message]]) -> None:
        self.unsent = unsent
        self._world = world
        self._broker = broker

    def kill(self) -> None: ...

    def stop(self) -> None: ...

    def publish_next(self) -> None:
        if self.unsent:
            number, message = self.unsent[self._world.random.randrange(min(AHEAD, len(self.unsent)))]
            step = Step(self, f"publishes message {number}", (), lambda _: self._publish(number, message))
            self._world.offer(step)

    def _publish(self, number: int, message: Message) -> None:
        properties = Basic.Properties(
            message_id=message.key,
            message_type=message.type,
            correlation_id=str(number),
            reply_to=message.reply_to,
            delivery_mode=2,
        )
        self._broker.exchanges.publish(PAYMENTS, message.routing_key, message.body, properties)
        if not self._world.happens(TWICE_PERCENT):
            self.unsent.remove((number, message))
        self.publish_next()
