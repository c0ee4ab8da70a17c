"""The upstream: publishes every step with confirms, and again what was not confirmed."""

import asyncio

import aio_pika
from aio_pika.abc import AbstractExchange

from tests.endurance.ledger import Ledger
from tests.endurance.link import AWAY_PAUSE_S, connected, tolerating_outages
from tests.endurance.traffic import Traffic, message

WINDOW = 200
CONFIRM_TIMEOUT_S = 15.0


class Upstream:
    """Steps are published in their order, at most `ahead` of the answers; `sent` counts what went out at all."""

    def __init__(self, traffic: Traffic, ledger: Ledger, ahead: int) -> None:
        self._traffic = traffic
        self._ledger = ledger
        self._ahead = ahead
        self.sent = 0
        self.confirmed = 0
        self.next_step = 0
        self.to_be_answered = 0
        self.sent_again = 0

    async def run(self, url: str) -> None:
        """Publish until every step is confirmed."""
        window: list[int] = []
        while window or self.next_step < len(self._traffic):
            with tolerating_outages():
                async with connected(url) as connection:
                    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                    exchange = await channel.get_exchange("payments", ensure=False)
                    while window := window or await self._next_window():
                        await self._publish(exchange, window)
            if window:
                await asyncio.sleep(AWAY_PAUSE_S)

    async def _next_window(self) -> list[int]:
        while self.to_be_answered - self._ledger.answered > self._ahead - WINDOW:
            await self._ledger.more_answers()
        window = list(range(self.next_step, min(self.next_step + WINDOW, len(self._traffic))))
        self.next_step += len(window)
        self.to_be_answered += sum(map(self._traffic.is_answered, window))
        return window

    async def _publish(self, exchange: AbstractExchange, window: list[int]) -> None:
        """Publish the steps and take those that are confirmed off the window. Raises the first error there was."""
        self.sent += len(window)
        publishes = (self._publish_one(exchange, number) for number in window)
        answers = await asyncio.gather(*publishes, return_exceptions=True)
        failed = [number for number, answer in zip(window, answers, strict=True) if isinstance(answer, BaseException)]
        self.confirmed += len(window) - len(failed)
        self.sent_again += len(failed)
        window[:] = failed
        for answer in answers:
            if isinstance(answer, asyncio.CancelledError):
                # The driver cancels what waits on a channel that closes.
                raise TimeoutError("the channel was closed")
            if isinstance(answer, BaseException):
                raise answer

    async def _publish_one(self, exchange: AbstractExchange, number: int) -> None:
        step = self._traffic.step(number)
        said = message(step)
        properties = aio_pika.Message(
            said.body,
            headers={"idempotency-key": step.key},
            type=said.type,
            content_type=said.content_type,
            correlation_id=str(number),
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await exchange.publish(properties, said.routing_key, timeout=CONFIRM_TIMEOUT_S)
