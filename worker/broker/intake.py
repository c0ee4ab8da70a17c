"""What comes in from one queue: buffered as it is delivered, taken in batches, acknowledged together."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from worker.broker.channel import Channel
from worker.broker.delivery import Delivery
from worker.domain.errors import LinkLostError
from worker.limits import BATCH_BYTES_MAX, SUSPECT_DELIVERIES_MIN


class Intake:
    """The consumer of one queue on a channel of its own."""

    def __init__(self, channel: Channel, queue: str, prefetch_messages: int) -> None:
        self.queue = queue
        self._channel = channel
        self._prefetch_messages = prefetch_messages
        self._buffer: deque[Delivery] = deque()
        self._changed = asyncio.Event()
        self._consumer_tag: str | None = None
        self._last_tag = 0
        self._rejected: set[int] = set()
        self._is_paused = False
        self._is_ending = False
        self._lost: str | None = None

    async def start(self) -> None:
        """Begin to consume. Raises LinkLostError, also where the queue does not exist."""
        self._channel.on_lost(self._lose)
        await self.resume()

    async def take(self, messages_max: int) -> list[Delivery]:
        """Return what has been delivered, in order and as soon as there is any; nothing once the intake has ended.

        A message that was in flight at several crashes comes alone, and so does one that is as long as a batch may be.
        A paused intake hands out what it holds, and only then has deliveries again: a consumer that is begun anew gets
        a whole prefetch more. Raises LinkLostError when the channel is gone.
        """
        while not self._buffer and not self._is_ending and self._lost is None:
            self._changed.clear()
            if self._is_paused:
                await self.resume()
            else:
                await self._changed.wait()
        if self._lost is not None:
            raise LinkLostError(f"{self.queue}: {self._lost}")
        return self._cut(messages_max)

    def take_full(self, messages: int) -> list[Delivery]:
        """Return what take() would if so many have been delivered, and none of them has to come alone; else nothing."""
        if len(self._buffer) < messages or self._is_suspect(self._buffer[0]):
            return []
        return self._cut(messages)

    def _cut(self, messages_max: int) -> list[Delivery]:
        batch: list[Delivery] = []
        batch_bytes = 0
        while self._buffer and len(batch) < messages_max:
            is_suspect = self._is_suspect(self._buffer[0])
            batch_bytes += len(self._buffer[0].body)
            if batch and (is_suspect or batch_bytes > BATCH_BYTES_MAX):
                break
            batch.append(self._buffer.popleft())
            if is_suspect:
                break
        return batch

    def _is_suspect(self, delivery: Delivery) -> bool:
        return delivery.redeliveries >= SUSPECT_DELIVERIES_MIN

    async def acknowledge(self, batch: Sequence[Delivery]) -> None:
        """Acknowledge the batch and everything taken before it.

        On a channel that is gone this does nothing: the messages come again, and their keys tell that they are done.
        """
        tags = [delivery.tag for delivery in batch]
        unanswered = [tag for tag in tags if tag not in self._rejected]
        self._rejected.difference_update(tags)
        if unanswered:
            with self._losing():
                self._channel.acknowledge(unanswered[-1])

    async def reject(self, delivery: Delivery) -> None:
        """Have the broker itself dead-letter the message, byte for byte. Its batch is acknowledged afterwards."""
        self._rejected.add(delivery.tag)
        with self._losing():
            self._channel.reject(delivery.tag)

    async def pause(self) -> None:
        """Stop deliveries until all that has been delivered is taken; it is kept, unacknowledged."""
        self._is_paused = True
        await self._stop_consuming()

    async def _stop_consuming(self) -> None:
        tag, self._consumer_tag = self._consumer_tag, None
        if tag is not None and not self.is_lost:
            with self._losing():
                await self._channel.cancel(tag)

    async def resume(self) -> None:
        """Have deliveries again. Raises LinkLostError, also where the queue does not exist."""
        self._is_paused = False
        if self._consumer_tag is None:
            self._consumer_tag = await self._channel.consume(self.queue, self._prefetch_messages, self._on_delivery)

    async def end(self) -> None:
        """Stop deliveries for good; take() hands out what is left in the buffer and then nothing."""
        await self._stop_consuming()
        self._is_ending = True
        self._changed.set()

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.tag != self._last_tag + 1:
            # One acknowledgement stands for all tags before it, so a gap or a swap here could cost a payment.
            self._lose(f"delivery {delivery.tag} came after {self._last_tag}")
        self._last_tag = delivery.tag
        if not self.is_lost:
            self._buffer.append(delivery)
            self._changed.set()

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """Take note of a lost channel instead of raising: take() will tell."""
        try:
            yield
        except LinkLostError as error:
            self._lose(str(error))

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why
        self._buffer.clear()
        self._changed.set()
