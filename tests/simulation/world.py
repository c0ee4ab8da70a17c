"""The world in which simulated workers live: it lets one thing happen at a time, in an order drawn from the seed.

What a worker does to the world (a statement, a frame to the broker) and what the world does to it (a delivery, a
confirm) is offered as a step. When nobody has anything else to do, one of the steps offered is drawn and taken, as it
should be or with a fault from its menu.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from tests.simulation.faults import Fault, Plan
from tests.simulation.loop import Loop
from worker.limits import PUBLISH_TIMEOUT_S

STEPS_MAX = 20_000
"""Of one run. A world that has not come to rest by then goes in circles."""
TIME_PASSES_PERCENT = 1
"""How often it gets later although something could happen."""
DELAYS_S = (0.1, 1.0, PUBLISH_TIMEOUT_S + 1)
"""How much later a delayed step happens. The longest is longer than a confirm is waited for."""


class Actor(Protocol):
    """Who a step belongs to."""

    @property
    def name(self) -> str: ...

    @property
    def is_dead(self) -> bool: ...

    def kill(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(eq=False)
class Step:
    """Something that can happen next. `take` does it, with the fault or without."""

    actor: Actor
    name: str
    menu: Sequence[Fault]
    take: Callable[[Fault | None], None]
    is_withdrawn: bool = False


@dataclass
class World:
    loop: Loop
    random: Random
    plan: Plan
    one_by_one: bool = False
    """Let as little as possible happen in a step, so that there is a step before and after each thing."""
    number: int = 0
    """Steps taken."""
    trace: list[str] = field(default_factory=list)
    hit: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    """Faults that happened, by the step's name and their own."""
    _offered: list[Step] = field(default_factory=list)
    _late: list[Step] = field(default_factory=list)
    _background: "set[asyncio.Task[Any]]" = field(default_factory=set)

    def __post_init__(self) -> None:
        self.loop.start_anew()
        self.loop.on_idle = self._next

    @property
    def now_s(self) -> float:
        return self.loop.time()

    def happens(self, percent: float) -> bool:
        return self.random.random() * 100 < percent

    def up_to(self, most: int) -> int:
        """Return how many of several things happen in one step."""
        return 1 if self.one_by_one else self.random.randint(1, most)

    def note(self, text: str) -> None:
        self.trace.append(f"{self.number:5} {self.now_s:9.3f} s  {text}")

    def offer(self, step: Step) -> None:
        if not step.is_withdrawn:
            self._offered.append(step)

    def withdraw(self, step: Step) -> None:
        step.is_withdrawn = True
        if step in self._offered:
            self._offered.remove(step)

    async def turn(self, actor: Actor, name: str, menu: Sequence[Fault], *, is_late: bool = False) -> Fault | None:
        """Wait until it is this one's turn; return what is to go wrong with it.

        is_late: who asks had to wait for a lock, so that nobody knows in which moment it comes to ask.
        """
        if actor.is_dead:
            raise asyncio.CancelledError
        turn: asyncio.Future[Fault | None] = self.loop.create_future()
        step = Step(actor, name, menu, turn.set_result)
        if is_late:
            self._late.append(step)
        else:
            self.offer(step)
        try:
            return await turn
        finally:
            self.withdraw(step)

    def do_now(self, what: Coroutine[Any, Any, object]) -> "asyncio.Task[Any]":
        """Do something on the real server, before anything else happens in the world."""
        self.loop.io_in_flight += 1
        task = self.loop.create_task(what, context=Context())
        self._background.add(task)
        task.add_done_callback(self._done)
        return task

    async def settled(self) -> None:
        """Wait until all that is done on the real server is done."""
        while self._background:
            await asyncio.wait(self._background)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self.loop.io_in_flight -= 1
        self._background.discard(task)
        task.result()

    def _next(self, can_wait: bool) -> bool:  # noqa: FBT001
        """Take a step, if there is one. False where time is to pass."""
        for late in sorted(self._late, key=lambda step: (step.actor.name, step.name)):
            self.offer(late)
        self._late.clear()
        if not self._offered or (can_wait and self.happens(TIME_PASSES_PERCENT)):
            return False
        step = self._offered.pop(self.random.randrange(len(self._offered)))
        self.number += 1
        assert self.number <= STEPS_MAX, f"no rest after {STEPS_MAX} steps"
        fault = self.plan.fault(self.number, step.name, step.menu)
        self.note(f"{step.actor.name}: {step.name}" + (f"  ✗ {fault}" if fault else ""))
        if fault is not None:
            self.hit[step.name, fault] += 1
        match fault:
            case Fault.KILL_BEFORE:
                step.actor.kill()
            case Fault.STOP:
                step.actor.stop()
                step.take(None)
            case Fault.DELAY:
                step.menu = ()
                self.loop.call_later(self.random.choice(DELAYS_S), self.offer, step)
            case _:
                step.take(fault)
        return True
