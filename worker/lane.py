"""A queue's lane: takes batches, has them processed, deals with what goes wrong, acknowledges."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from worker.broker.delivery import Delivery
from worker.broker.diversion import dead_letter, retry_later
from worker.broker.intake import Intake
from worker.broker.publisher import Publisher
from worker.domain.errors import (
    ContendedError,
    DeadLetterReason,
    LinkLostError,
    LockTimeoutError,
    PermanentError,
    RefusedError,
    TransientError,
    UnavailableError,
)
from worker.limits import BATCH_MESSAGES_MAX, IMMEDIATE_ATTEMPTS_MAX
from worker.outage import Backoff
from worker.pipeline import Divert
from worker.telemetry import BATCH_MESSAGES, BATCH_SECONDS, DEAD_LETTERS, DELIVERIES, OUTAGES, RETRIES, log, named
from worker.turns import Overlap, Turn


class Processor(Protocol):
    """What a lane does with a batch: all of it, or raise and have done nothing that a second time would double."""

    async def process(self, batch: Sequence[Delivery], divert: Divert, turn: Turn, /) -> None: ...


class Lane:
    """One queue, batch by batch, in order. Where messages pile up, the next batch may be begun with before one is done.

    A server that is away pauses the lane: nothing is charged to a message. Any other failure of a batch has it cut in
    half until the message is found that causes it, so that its neighbours are not hurt; that one is tried again, later
    and later, and in the end becomes a dead letter. A lane begins with one message at a time, and so does one that has
    waited for a server: what is wrong shows at one message before it is tried on many.
    """

    def __init__(
        self,
        intake: Intake,
        publisher: Publisher,
        processor: Processor,
        probe: Callable[[], Awaitable[None]],
        batch_messages_max: int = BATCH_MESSAGES_MAX,
    ) -> None:
        self._intake = intake
        self._publisher = publisher
        self._processor = processor
        self._probe = probe
        self._batch_messages_max = batch_messages_max
        self._batch_messages = 1
        self._gone: set[int] = set()
        """Tags of what is taken and already went to a retry queue or the dead letters: it does not go a second time
        where the rest of its batch has to wait for a server."""
        self._overlap = Overlap(self._process, self._following)
        self._backoff = Backoff()
        self.is_paused = False

    async def run(self) -> None:
        """Work until the intake has ended. Raises LinkLostError."""
        try:
            while batch := self._overlap.taken() or await self._intake.take(self._batch_messages):
                while batch:
                    batch = batch[await self._finish(batch[: self._batch_messages]) :]
        finally:
            await self._overlap.give_up()

    def _following(self, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        """Take the next batch, after a full one, if it is full too. Else there is time, and more may come meanwhile.

        A part of a batch is never full: what has been taken with it comes before.
        """
        full_messages = self._batch_messages_max
        return self._intake.take_full(full_messages) if len(batch) == full_messages else ()

    async def _process(self, batch: Sequence[Delivery], turn: Turn) -> None:
        await self._processor.process(batch, self._divert, turn)

    async def _finish(self, batch: Sequence[Delivery]) -> int:
        """Process and acknowledge the batch and return how many that were: none where a server was waited for."""
        queue = self._intake.queue
        began = time.perf_counter()
        left = self._left(batch)
        try:
            await self._work_off(left)
        except LinkLostError:
            raise
        except UnavailableError as error:
            await self._wait_out(error)
            return 0
        await self._intake.acknowledge(batch)
        self._gone.difference_update(delivery.tag for delivery in batch)
        if left:
            self._note_through()
        DELIVERIES.labels(queue).inc(len(batch))
        BATCH_MESSAGES.labels(queue).observe(len(batch))
        BATCH_SECONDS.labels(queue).observe(time.perf_counter() - began)
        return len(batch)

    def _note_through(self) -> None:
        """Go on with more at a time, now that a batch has come through."""
        if self.is_paused:
            log.info("server back", queue=self._intake.queue)
        self.is_paused = False
        self._backoff.reset()
        self._batch_messages = min(self._batch_messages * 2, self._batch_messages_max)

    async def _wait_out(self, error: UnavailableError) -> None:
        """Take no more until the database answers; then begin small.

        It may answer and still not do what is asked (read-only, out of disk), and the server that is away may be the
        other one: so the lane counts as paused until a message has come through.
        """
        OUTAGES.labels(self._intake.queue).inc()
        log.warning("server away, deliveries held", queue=self._intake.queue, error=str(error))
        self.is_paused = True
        self._batch_messages = 1
        await self._intake.pause()
        while True:
            await self._backoff.wait()
            if self._intake.is_lost:
                raise LinkLostError("the connection to RabbitMQ ended while a server was away")
            try:
                return await self._probe()
            except (UnavailableError, TransientError) as again:
                log.warning("server still away", queue=self._intake.queue, error=str(again))

    async def _work_off(self, batch: Sequence[Delivery]) -> None:
        batch = self._left(batch)
        if not batch:
            return
        try:
            await self._attempt(batch)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it is one message's, and is answered below)
            if len(batch) == 1:
                await self._give_way(batch[0], error)
                return
            log.warning("batch cut", queue=self._intake.queue, messages=len(batch), error=named(error))
            middle = len(batch) // 2
            await self._work_off(batch[:middle])
            await self._work_off(batch[middle:])

    def _left(self, batch: Sequence[Delivery]) -> list[Delivery]:
        return [delivery for delivery in batch if delivery.tag not in self._gone]

    async def _attempt(self, batch: Sequence[Delivery]) -> None:
        """Try a few times on the spot what another worker's transaction was in the way of.

        Rows that stay locked are waited for by the message alone that asks for them, so that its neighbours need not.
        """
        for attempt in range(1, IMMEDIATE_ATTEMPTS_MAX + 1):
            try:
                await self._overlap.do(self._left(batch))
            except ContendedError as error:
                if attempt == IMMEDIATE_ATTEMPTS_MAX or (isinstance(error, LockTimeoutError) and len(batch) > 1):
                    raise
            else:
                return

    async def _give_way(self, delivery: Delivery, error: Exception) -> None:
        """Send the one message that fails to be tried later, or to the dead letters once it has had its tries."""
        log.error("message failed", queue=self._intake.queue, attempts=delivery.attempts, error=named(error))
        is_permanent = isinstance(error, PermanentError)
        if not is_permanent and await retry_later(self._publisher, delivery):
            self._gone.add(delivery.tag)
            RETRIES.labels(self._intake.queue).inc()
            return
        text = f"failed in an unexpected way ({named(error)}) at attempt {delivery.attempts + 1}"
        await self._divert(delivery, RefusedError(DeadLetterReason.POISON, text))
        DEAD_LETTERS.labels(DeadLetterReason.POISON.value).inc()

    async def _divert(self, delivery: Delivery, refusal: RefusedError) -> None:
        if not await dead_letter(self._publisher, delivery, refusal):
            await self._intake.reject(delivery)
        self._gone.add(delivery.tag)
