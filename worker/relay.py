"""From the outbox to the exchange: publish, await the confirms, delete. What is not confirmed stays."""

import asyncio
import time

from pamqp.commands import Basic
from pamqp.common import FieldTable

from schemas import catalog
from schemas.outcome import OUTCOME_TYPE, Status
from worker.books.outbox import StoredOutcome, delete_outbox, may_be_more, take_outbox
from worker.books.session import Session
from worker.broker.properties import PERSISTENT
from worker.broker.publisher import Publication, Publisher
from worker.broker.replies import Replies
from worker.domain.errors import LinkLostError, TransientError, UnavailableError
from worker.limits import OUTBOX_BACKLOG_ROWS_MAX, RECONNECT_DELAY_MAX_S, RELAY_POLL_S
from worker.outage import Backoff
from worker.telemetry import PUBLISHED, REFUSED, UNROUTED, log

OWN_QUEUES_PREFIX = "payments."
"""No reply goes to a queue of the worker's own: a sender could have the worker talk to itself."""
DOWNSTREAM_QUEUES_PREFIX = "outcomes."


class Relay:
    """Publishes what stands in the outbox, whichever worker wrote it. Several relays pass over each other's rows."""

    def __init__(self, session: Session, replies: Replies) -> None:
        self._session = session
        self._replies = replies
        self._woken = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._backlog_rows = 0
        self._backoff = Backoff()
        self._refusals = _Refusals()
        self._is_ending = False
        self.is_waiting = False
        """True while a server is away."""

    def note_written(self, rows: int) -> None:
        """Take note that so many rows have been written to the outbox."""
        self._backlog_rows += rows
        self._woken.set()

    async def has_room(self) -> None:
        """Return once there is room for more."""
        while self.is_full:
            self._caught_up.clear()
            await self._caught_up.wait()

    @property
    def is_full(self) -> bool:
        """True while so much is to be published, beside what queues refuse, that nothing more is booked."""
        return self._backlog_rows > OUTBOX_BACKLOG_ROWS_MAX

    def end(self) -> None:
        """Let run() return as soon as nothing is left to publish."""
        self._is_ending = True
        self._woken.set()

    async def run(self, publisher: Publisher) -> None:
        """Publish until ended. Raises LinkLostError; a database that is away is waited for."""
        while True:
            self._woken.clear()
            try:
                published, is_all = await self._publish_window(publisher)
                self._backoff.reset()
                self.is_waiting = False
            except LinkLostError:
                raise
            except (UnavailableError, TransientError) as error:
                log.warning("relay waits", error=str(error))
                self.is_waiting = True
                if self._is_ending:
                    return
                await self._backoff.wait()
                continue
            if self._is_ending:
                if not published:
                    return
            elif is_all:
                await self._wait_for_work()

    def _note_published(self, rows: int) -> None:
        """Note that so many rows less wait to be tried."""
        self._backlog_rows = max(self._backlog_rows - rows, 0)
        self._caught_up.set()

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(RELAY_POLL_S):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _publish_window(self, publisher: Publisher) -> tuple[int, bool]:
        """Publish the oldest rows; return how many there were, and whether they were all that could be taken.

        What a queue refused stays for a later round.
        """
        async with self._session.transaction() as connection:
            passed_over_id = self._refusals.passed_over_id()
            taken = await take_outbox(connection, passed_over_id)
            is_all = not may_be_more(taken)
            if is_all and not passed_over_id:
                self._backlog_rows = len(taken)
            if not taken:
                self._note_published(0)
                return 0, is_all
            answers = await publisher.publish_each([outcome_publication(outcome) for _, outcome in taken])
            told = [each for each, answer in zip(taken, answers, strict=True) if isinstance(answer, bool)]
            replies = [reply for _, outcome in told if (reply := reply_publication(outcome)) is not None]
            replied = await self._reply(publisher, replies)
            await delete_outbox(connection, [row_id for row_id, _ in told])
        PUBLISHED.inc(len(told))
        UNROUTED.labels("outcome").inc(answers.count(False))
        UNROUTED.labels("reply").inc(replied.count(False))
        self._note_published(len(taken))
        refused = [answer for answer in answers if isinstance(answer, UnavailableError)]
        if refused:
            REFUSED.inc(len(refused))
            self._refusals.pass_over(taken[-1][0], refused[0])
        return len(taken), is_all

    async def _reply(self, publisher: Publisher, replies: list[Publication]) -> list[bool]:
        """Publish the replies. Where they alone have no connection to go by, they are given up, and no outcome is."""
        try:
            return await self._replies.publish(replies)
        except LinkLostError:
            if publisher.is_lost:
                raise
            return [False] * len(replies)


class _Refusals:
    """Which rows are passed over for now: a queue that takes no more holds back its own outcomes, and no others.

    All up to a row have been tried, and are tried again once a while has passed.
    """

    def __init__(self) -> None:
        self._backoff = Backoff()
        self._passed_over_id = 0
        self._again_at = 0.0

    def passed_over_id(self) -> int:
        """Return the last row that is not to be tried just now; 0 where there is none."""
        if self._passed_over_id and time.monotonic() >= self._again_at:
            self._passed_over_id = 0
        return self._passed_over_id

    def pass_over(self, row_id: int, error: UnavailableError) -> None:
        """Pass over all up to the row, some of which have been refused."""
        if not self._passed_over_id:
            log.warning("outcomes refused, to be published later", error=str(error))
            if time.monotonic() > self._again_at + RECONNECT_DELAY_MAX_S:
                self._backoff.reset()
            self._again_at = time.monotonic() + self._backoff.next_delay_s()
        self._passed_over_id = row_id


def outcome_publication(outcome: StoredOutcome) -> Publication:
    """Return the outcome's message for the exchange, just as it was published the first time but for `replayed`."""
    status = Status(outcome.statusid)
    key = catalog.outcome_key(outcome.company, status.name)
    return Publication(catalog.OUTCOMES, key, outcome.body, _properties(outcome))


def reply_publication(outcome: StoredOutcome) -> Publication | None:
    """Return the copy for the queue that was asked to be answered, if any."""
    reply_to = outcome.return_address.reply_to
    if not reply_to or reply_to.startswith(OWN_QUEUES_PREFIX) or _is_of_another(reply_to, outcome.company):
        return None
    return Publication("", reply_to, outcome.body, _properties(outcome))


def _is_of_another(queue: str, company: str) -> bool:
    """Say whether the queue is a downstream's of another company: a sender could else put outcomes there."""
    return queue.startswith(DOWNSTREAM_QUEUES_PREFIX) and not queue.startswith(downstream_queue(company, ""))


def downstream_queue(company: str, name: str) -> str:
    """Return the name of a queue as the company's downstream may declare it: outcomes.<company>.<name>."""
    return f"{DOWNSTREAM_QUEUES_PREFIX}{company}.{name}"


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
