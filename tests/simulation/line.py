"""A channel's line to the simulated broker: frames arrive in their order, or are lost with it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.faults import RPC, Fault
from tests.simulation.world import Step
from worker.domain.errors import LinkLostError
from worker.limits import CONNECT_TIMEOUT_S

if TYPE_CHECKING:
    from tests.simulation.broker import Connection


@dataclass(eq=False)
class Frame:
    name: str
    menu: Sequence[Fault]
    arrive: Callable[[Fault | None], None]


class Line:
    """What has been sent on a channel and not arrived, and who waits for an answer."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._broker = connection.broker
        self._world = connection.broker.world
        self._actor = connection.actor
        self._is_ended = False
        self._lost: str | None = None
        self._on_lost: Callable[[str], None] = lambda _: None
        self._waiting: list[asyncio.Future[None]] = []
        self._steps: dict[str, Step] = {}
        self._sent: deque[Frame] = deque()

    def on_lost(self, callback: Callable[[str], None]) -> None:
        self._on_lost = callback
        if self._lost is not None:
            callback(self._lost)

    async def call(self, name: str, arrive: Callable[[], None]) -> None:
        """Send a frame and wait for its answer. Raises LinkLostError."""
        done: asyncio.Future[None] = self._world.loop.create_future()

        def take(fault: Fault | None) -> None:
            self._meet(fault, arrive)
            if not done.done():
                done.set_result(None)

        self._put(Frame(name, RPC, take))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._answer_to(done)
        except TimeoutError:
            self.end(f"no answer to: {name}")
            raise LinkLostError(f"no answer to: {name}") from None

    def end(self, why: str) -> None:
        """Close the channel: what it was sent is lost, what it had handed out goes back to its queue."""
        if self._is_ended:
            return
        self._is_ended = True
        self._world.note(f"{self._actor.name}: a channel ended: {why}")
        for step in self._steps.values():
            self._world.withdraw(step)
        self._sent.clear()
        self._give_back()
        self._lose(why)

    def _lose(self, why: str) -> None:
        """Have the worker know that the channel is of no use any more."""
        if self._lost is None:
            self._lost = why
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(LinkLostError(why))
            self._on_lost(why)

    def _give_back(self) -> None:
        """Leave the connection, and put what was handed out back into its queue."""
        raise NotImplementedError

    def _send(self, name: str, menu: Sequence[Fault], arrive: Callable[[], None]) -> None:
        """Send a frame that is not answered."""
        self._put(Frame(name, menu, lambda fault: self._meet(fault, arrive)))

    def _put(self, frame: Frame) -> None:
        if self._lost is not None:
            raise LinkLostError(self._lost)
        self._sent.append(frame)
        self._offer_sent()

    def _offer_sent(self) -> None:
        if self._sent:
            self._offer(self._sent[0].name, self._sent[0].menu, self._arrive, kind="sent")

    def _arrive(self, fault: Fault | None) -> None:
        """Let the oldest frame arrive, or the first few of them."""
        self._sent.popleft().arrive(fault)
        if fault is None and self._sent:
            for _ in range(self._world.up_to(len(self._sent) + 1) - 1):
                if self._sent:
                    self._sent.popleft().arrive(None)
        self._offer_sent()

    def _meet(self, fault: Fault | None, arrive: Callable[[], None]) -> None:
        """Do what arrives, if it does, and what goes wrong before or after it."""
        match fault:
            case Fault.CUT_BEFORE:
                self._connection.cut("cut")
            case Fault.CHANNEL_CLOSED:
                self.end("closed by the broker")
            case Fault.AWAY:
                self._broker.go_away()
            case _:
                arrive()
        if fault is Fault.CUT_AFTER:
            self._connection.cut("cut")
        elif fault is Fault.KILL_AFTER:
            self._actor.kill()

    def _offer(
        self, name: str, menu: Sequence[Fault], take: Callable[[Fault | None], None], *, kind: str | None = None
    ) -> None:
        """Offer a step, unless the last of its kind is still to be taken."""
        kind = kind or name
        if self._is_ended or kind in self._steps:
            return

        def take_it(fault: Fault | None) -> None:
            del self._steps[kind]
            take(fault)

        self._steps[kind] = Step(self._actor, name, menu, take_it)
        self._world.offer(self._steps[kind])

    async def _answer_to(self, done: "asyncio.Future[None]") -> None:
        self._waiting.append(done)
        try:
            await done
        finally:
            self._waiting.remove(done)
