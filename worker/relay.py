"""From the outbox to the exchange: publish, await the confirms, delete. What is not confirmed stays."""

import asyncio

from pamqp.commands import Basic
from pamqp.common import FieldTable

from schemas import catalog
from schemas.outcome import OUTCOME_TYPE, Status
from worker.books.outbox import StoredOutcome, delete_outbox, take_outbox
from worker.books.session import Session
from worker.broker.publisher import PERSISTENT, Publication, Publisher
from worker.broker.replies import Replies
from worker.domain.errors import LinkLostError, TransientError, UnavailableError
from worker.limits import OUTBOX_BACKLOG_ROWS_MAX, RELAY_POLL_S, RELAY_WINDOW_MESSAGES
from worker.outage import Backoff
from worker.telemetry import PUBLISHED, UNROUTED, log

OWN_QUEUES_PREFIX = "payments."
"""No reply goes to a queue of the worker's own: a sender could have the worker talk to itself."""


class Relay:
    """Publishes what stands in the outbox, whichever worker wrote it. Several relays pass over each other's rows."""

    def __init__(self, session: Session, replies: Replies) -> None:
        self._session = session
        self._replies = replies
        self._woken = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._backlog_rows = 0
        self._is_ending = False
        self.is_waiting = False
        """True while the database is away."""

    async def written(self, rows: int) -> None:
        """Say that so many rows have been written to the outbox; return once there is room for more."""
        self._backlog_rows += rows
        self._woken.set()
        while self._backlog_rows > OUTBOX_BACKLOG_ROWS_MAX:
            self._caught_up.clear()
            await self._caught_up.wait()

    def end(self) -> None:
        """Let run() return as soon as nothing is left to publish."""
        self._is_ending = True
        self._woken.set()

    async def run(self, publisher: Publisher) -> None:
        """Publish until ended. Raises LinkLostError; a database that is away is waited for."""
        backoff = Backoff()
        while True:
            self._woken.clear()
            try:
                published = await self._publish_window(publisher)
                backoff.reset()
                self.is_waiting = False
                self._note_published(published)
            except LinkLostError:
                raise
            except (UnavailableError, TransientError) as error:
                log.warning("relay waits", error=str(error))
                self.is_waiting = True
                if self._is_ending:
                    return
                await backoff.wait()
                continue
            if not published:
                if self._is_ending:
                    return
                await self._wait_for_work()

    def _note_published(self, rows: int) -> None:
        self._backlog_rows = max(self._backlog_rows - rows, 0) if rows else 0
        self._caught_up.set()

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(RELAY_POLL_S):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _publish_window(self, publisher: Publisher) -> int:
        """Publish the oldest rows and return how many there were."""
        async with self._session.transaction() as connection:
            taken = await take_outbox(connection, RELAY_WINDOW_MESSAGES)
            if not taken:
                return 0
            outcomes = [outcome for _, outcome in taken]
            routed = await publisher.publish([outcome_publication(outcome) for outcome in outcomes])
            replies = [reply for outcome in outcomes if (reply := reply_publication(outcome)) is not None]
            replied = await self._replies.publish(replies)
            await delete_outbox(connection, [row_id for row_id, _ in taken])
        PUBLISHED.inc(len(taken))
        UNROUTED.labels("outcome").inc(routed.count(False))
        UNROUTED.labels("reply").inc(replied.count(False))
        return len(taken)


def outcome_publication(outcome: StoredOutcome) -> Publication:
    """Return the outcome's message for the exchange, just as it was published the first time but for `replayed`."""
    status = Status(outcome.statusid)
    key = catalog.outcome_key(outcome.company, status.name)
    return Publication(catalog.OUTCOMES, key, outcome.body, _properties(outcome))


def reply_publication(outcome: StoredOutcome) -> Publication | None:
    """Return the copy for the queue that was asked to be answered, if any."""
    reply_to = outcome.return_address.reply_to
    if not reply_to or reply_to.startswith(OWN_QUEUES_PREFIX):
        return None
    return Publication("", reply_to, outcome.body, _properties(outcome))


def _properties(outcome: StoredOutcome) -> Basic.Properties:
    address = outcome.return_address
    headers: FieldTable = {
        catalog.KEY_HEADER: outcome.idempotency_key,
        catalog.STATUS_HEADER: outcome.statusid,
        catalog.SOURCE_HEADER: outcome.source,
        catalog.REPLAYED_HEADER: outcome.replayed,
    }
    traces = zip(catalog.TRACE_HEADERS, (address.traceparent, address.tracestate), strict=True)
    headers |= {name: value for name, value in traces if value is not None}
    return Basic.Properties(
        content_type=catalog.CONTENT_TYPE,
        delivery_mode=PERSISTENT,
        message_id=str(outcome.event_id),
        message_type=OUTCOME_TYPE,
        correlation_id=address.correlation_id,
        headers=headers,
    )
