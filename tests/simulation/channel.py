"""A channel of the simulated broker: what it delivers, and what it does with what is published."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.catalog import OUTCOMES
from tests.simulation.faults import ACKNOWLEDGE, CONFIRM, COPY, DELIVER, PUBLISH, Fault
from tests.simulation.line import Frame, Line
from tests.simulation.queues import Queue, Stored
from worker.broker import frames
from worker.broker.channel import OnDelivery
from worker.broker.delivery import Delivery
from worker.broker.publication import Publication
from worker.domain.errors import LinkLostError, UnavailableError
from worker.limits import PUBLISH_TIMEOUT_S

if TYPE_CHECKING:
    from tests.simulation.broker import Connection

Answer = bool | UnavailableError
_HEAD = bytes(12)
"""Of a content header, before its properties: class, weight and length of the body, which nothing here asks for."""


@dataclass(eq=False)
class _Consumer:
    tag: str
    queue: Queue
    on_delivery: OnDelivery


@dataclass(eq=False)
class _Window:
    """Publications that are answered together."""

    answers: list[Answer | None]
    done: "asyncio.Future[None]"

    def answer(self, index: int, answer: Answer) -> None:
        self.answers[index] = answer
        if None not in self.answers and not self.done.done():
            self.done.set_result(None)


class Channel(Line):
    """Stands in for worker.broker.channel.Channel."""

    def __init__(self, connection: "Connection") -> None:
        super().__init__(connection)
        self._consumer: _Consumer | None = None
        self._consumers = 0
        self._prefetch_messages = 0
        self._last_tag = 0
        self._publishing = 0
        self._unacknowledged: dict[int, tuple[Queue, Stored]] = {}
        self._unconfirmed: deque[tuple[_Window, int, bool]] = deque()

    # What the worker calls

    async def consume(self, queue: str, prefetch_messages: int, on_delivery: OnDelivery) -> str:
        self._consumers += 1
        tag = f"consumer {self._consumers}"

        def arrive() -> None:
            if queue not in self._broker.exchanges.queues:
                self.end(f"no queue '{queue}'")
                return
            self._prefetch_messages = prefetch_messages
            self._consumer = _Consumer(tag, self._broker.exchanges.queues[queue], on_delivery)

        await self.call("consume", arrive)
        self.offer_delivery()
        return tag

    async def cancel(self, consumer_tag: str) -> None:
        def arrive() -> None:
            if self._consumer is not None and self._consumer.tag == consumer_tag:
                self._consumer = None

        await self.call("cancel the consumer", arrive)

    def acknowledge(self, tag: int) -> None:
        self._send(
            "acknowledge", ACKNOWLEDGE, lambda: self._settle([each for each in self._unacknowledged if each <= tag])
        )

    def reject(self, tag: int) -> None:
        self._send("reject", ACKNOWLEDGE, lambda: self._settle([tag], are_dead=True))

    @property
    def is_publishing(self) -> bool:
        return self._publishing > 0

    async def publish(self, publications: Sequence[Publication]) -> list[Answer]:
        window = _Window([None] * len(publications), self._world.loop.create_future())
        for index, publication in enumerate(publications):
            self._send_publication(window, index, publication)
        self._publishing += 1
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._answer_to(window.done)
        except TimeoutError:
            pass
        finally:
            self._publishing -= 1
        return [UnavailableError("not confirmed") if answer is None else answer for answer in window.answers]

    async def close(self) -> None:
        with contextlib.suppress(LinkLostError):  # it is closed then, as was asked for
            await self.call("close the channel", lambda: self.end("closed by the worker"))

    # What happens at the broker

    def offer_delivery(self) -> None:
        consumer = self._consumer
        if consumer is not None and consumer.queue.ready and self._room():
            self._offer(f"deliver from {_short(consumer.queue.name)}", DELIVER, self._deliver, kind="deliver")

    def _deliver(self, fault: Fault | None) -> None:
        consumer = self._consumer
        if consumer is None or not consumer.queue.ready:
            return
        if fault is Fault.CONSUMER_CANCELLED:
            self._consumer = None
            self._lose("the broker cancelled the consumer")
            return
        self._meet(fault, lambda: self._hand_out(consumer))
        self.offer_delivery()

    def _hand_out(self, consumer: _Consumer) -> None:
        """Deliver the first few messages."""
        queue = consumer.queue
        count = self._world.up_to(min(self._room(), len(queue.ready)))
        for _ in range(count):
            stored = queue.ready.popleft()
            queue.unacknowledged += 1
            self._last_tag += 1
            self._unacknowledged[self._last_tag] = (queue, stored)
            consumer.on_delivery(
                Delivery(
                    tag=self._last_tag,
                    routing_key=stored.routing_key,
                    body=stored.body,
                    properties=stored.as_delivered(),
                )
            )

    def _settle(self, tags: Sequence[int], *, are_dead: bool = False) -> None:
        if not all(tag in self._unacknowledged for tag in tags) or not tags:
            self.end("PRECONDITION_FAILED - unknown delivery tag")
            return
        for tag in tags:
            queue, stored = self._unacknowledged.pop(tag)
            queue.unacknowledged -= 1
            if are_dead:
                self._broker.exchanges.die(queue, stored, "rejected")
        self.offer_delivery()

    def _give_back(self) -> None:
        self._connection.channels.remove(self)
        self._consumer = None
        returned = list(self._unacknowledged.values())
        self._unacknowledged.clear()
        if self._world.happens(30):
            self._world.random.shuffle(returned)
        self._broker.exchanges.give_back(returned)

    def _send_publication(self, window: _Window, index: int, publication: Publication) -> None:
        exchange = publication.exchange

        def store(*, is_returned: bool = False) -> None:
            if not self._broker.exchanges.exists(exchange):
                self.end(f"no exchange '{exchange}'")
                return
            properties = frames.read_properties(_HEAD + publication.properties.marshal())
            is_routed = not is_returned and self._broker.exchanges.publish(
                exchange, publication.routing_key, publication.body, properties
            )
            self._unconfirmed.append((window, index, is_routed))
            self._offer_confirm()

        def arrive(fault: Fault | None) -> None:
            match fault:
                case Fault.NACK:
                    window.answer(index, UnavailableError("refused"))
                case Fault.LOST:
                    pass
                case Fault.UNCONFIRMED:
                    store()
                    if self._unconfirmed:
                        self._unconfirmed.pop()
                case Fault.UNROUTED:
                    store(is_returned=True)
                case _:
                    self._meet(fault, store)

        menu = PUBLISH if exchange in {OUTCOMES, ""} else COPY
        self._put(Frame(f"publish to {_short(exchange)}", menu, arrive))

    def _offer_confirm(self) -> None:
        if self._unconfirmed:
            self._offer("confirm", CONFIRM, self._confirm)

    def _confirm(self, fault: Fault | None) -> None:
        """Confirm the first few of what has been stored."""
        if not self._unconfirmed:
            return
        confirmed = [self._unconfirmed.popleft() for _ in range(self._world.up_to(len(self._unconfirmed)))]

        def arrive() -> None:
            for window, index, is_routed in confirmed:
                window.answer(index, is_routed)

        if fault is not Fault.UNCONFIRMED:
            self._meet(fault, arrive)
        self._offer_confirm()

    def _room(self) -> int:
        return self._prefetch_messages - len(self._unacknowledged)


def _short(name: str) -> str:
    return name.removeprefix("payments.") or "a reply queue"
