"""What comes in from one queue: buffered as it is delivered, taken in batches, acknowledged together."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from worker.broker.connection import WireChannel, link_errors
from worker.broker.delivery import Delivery
from worker.domain.errors import LinkLostError
from worker.limits import BATCH_BYTES_MAX, CONNECT_TIMEOUT_S, SUSPECT_DELIVERIES_MIN


class Intake:
    """The consumer of one queue on a channel of its own.

    The driver's callback only puts deliveries into the buffer: it is cancelled whenever the connection drops.
    """

    def __init__(self, channel: WireChannel, queue: str, prefetch_messages: int) -> None:
        self.queue = queue
        self._channel = channel
        self._prefetch_messages = prefetch_messages
        self._buffer: deque[Delivery] = deque()
        self._changed = asyncio.Event()
        self._consumer_tag: str | None = None
        self._last_tag = 0
        self._rejected: set[int] = set()
        self._is_ending = False
        self._lost: str | None = None

    async def start(self) -> None:
        """Begin to consume. Raises LinkLostError, also where the queue does not exist."""
        self._channel.closing.add_done_callback(lambda _: self._lose("the channel was closed"))
        self._channel.on_consumer_cancel_callbacks.add(self._on_cancelled)
        with link_errors(f"setting the prefetch for {self.queue}"):
            await self._channel.basic_qos(prefetch_count=self._prefetch_messages, timeout=CONNECT_TIMEOUT_S)
        await self.resume()

    async def take(self, messages_max: int) -> list[Delivery]:
        """Return what has been delivered, in order and as soon as there is any; nothing once the intake has ended.

        A message that was in flight at several crashes comes alone, and so does one that is as long as a batch may be.
        Raises LinkLostError when the channel is gone.
        """
        while not self._buffer and not self._is_ending and self._lost is None:
            self._changed.clear()
            await self._changed.wait()
        if self._lost is not None:
            raise LinkLostError(f"{self.queue}: {self._lost}")
        batch: list[Delivery] = []
        batch_bytes = 0
        while self._buffer and len(batch) < messages_max:
            is_suspect = self._buffer[0].redeliveries >= SUSPECT_DELIVERIES_MIN
            batch_bytes += len(self._buffer[0].body)
            if batch and (is_suspect or batch_bytes > BATCH_BYTES_MAX):
                break
            batch.append(self._buffer.popleft())
            if is_suspect:
                break
        return batch

    async def acknowledge(self, batch: Sequence[Delivery]) -> None:
        """Acknowledge the batch and everything taken before it.

        On a channel that is gone this does nothing: the messages come again, and their keys tell that they are done.
        """
        unanswered = [delivery.tag for delivery in batch if delivery.tag not in self._rejected]
        self._rejected.clear()
        if unanswered:
            with self._losing():
                await self._channel.basic_ack(unanswered[-1], multiple=True, wait=False)

    async def reject(self, delivery: Delivery) -> None:
        """Have the broker itself dead-letter the message, byte for byte. Its batch is acknowledged afterwards."""
        self._rejected.add(delivery.tag)
        with self._losing():
            await self._channel.basic_reject(delivery.tag, requeue=False)

    async def pause(self) -> None:
        """Stop deliveries; what has been delivered is kept, unacknowledged."""
        tag, self._consumer_tag = self._consumer_tag, None
        if tag is not None and not self.is_lost:
            with self._losing():
                await self._channel.basic_cancel(tag, timeout=CONNECT_TIMEOUT_S)

    async def resume(self) -> None:
        """Have deliveries again. Raises LinkLostError, also where the queue does not exist."""
        if self._consumer_tag is None:
            with link_errors(f"consuming {self.queue} (see `payment-worker setup`)"):
                consumed = await self._channel.basic_consume(self.queue, self._on_delivery, timeout=CONNECT_TIMEOUT_S)
            self._consumer_tag = consumed.consumer_tag

    async def end(self) -> None:
        """Stop deliveries for good; take() hands out what is left in the buffer and then nothing."""
        await self.pause()
        self._is_ending = True
        self._changed.set()

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    async def _on_delivery(self, message: DeliveredMessage) -> None:
        tag = message.delivery_tag or 0
        if tag != self._last_tag + 1:
            # One acknowledgement stands for all tags before it, so a gap or a swap here could cost a payment.
            self._lose(f"delivery {tag} came after {self._last_tag}")
        self._last_tag = tag
        if self.is_lost:
            return
        self._buffer.append(
            Delivery(
                tag=tag,
                routing_key=message.routing_key or "",
                body=message.body,
                properties=message.header.properties,
            )
        )
        self._changed.set()

    def _on_cancelled(self, _frame: Basic.Cancel) -> None:
        self._lose("the broker cancelled the consumer")

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """Take note of a lost channel instead of raising: take() will tell."""
        try:
            with link_errors("the channel was lost"):
                yield
        except LinkLostError as error:
            self._lose(str(error))

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why
        self._buffer.clear()
        self._changed.set()
