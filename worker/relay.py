"""From the outbox to the exchange: publish, await the confirms, delete. What is not confirmed stays."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from worker.backlog import Backlog
from worker.books.outbox import Known, claim_outbox, delete_outbox, release_outbox, take_oldest, take_own
from worker.books.session import Connection, Session
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.broker.replies import Replies
from worker.domain.errors import LinkLostError, TransientError, UnavailableError
from worker.flight import Answers, Flight, Row
from worker.limits import CLOSE_TIMEOUT_S, RELAY_DELETE_DELAY_S, RELAY_POLL_S
from worker.outage import Backoff
from worker.publications import outcome_publication, reply_publication
from worker.refusals import Refusals
from worker.telemetry import PUBLISHED, REFUSED, UNROUTED, log

Refused = dict[int, UnavailableError]
"""Why a queue refused a row."""


class Relay:
    """Publishes what stands in the outbox.

    What its own worker has written it publishes from memory: no other relay takes that as long as this one's session
    lives. Once in a while it looks for what else there is: rows that were refused, or whose relay is no more.
    """

    def __init__(self, session: Session, replies: Replies, backlog: Backlog) -> None:
        self._session = session
        self._replies = replies
        self._backlog = backlog
        self._claimed: Connection | None = None
        """On which it has its number."""
        self._look_at = 0.0
        self._has_looked = False
        self._backoff = Backoff()
        self._refusals = Refusals()
        self._flight = Flight(backlog.woken.set)
        self._is_ending = False
        self.is_waiting = False
        """True while a server is away."""

    def end(self) -> None:
        """Let run() return as soon as nothing is left to publish."""
        self._is_ending = True
        self._backlog.woken.set()

    async def run(self, publisher: Publisher) -> None:
        """Publish until ended. Raises LinkLostError; a database that is away is waited for."""
        try:
            while True:
                self._backlog.woken.clear()
                is_ending = self._is_ending
                try:
                    goes_on = await self._work(publisher)
                    if self._flight.is_empty and not self._flight.told:
                        self._note_through()
                except LinkLostError:
                    raise
                except (UnavailableError, TransientError) as error:
                    log.warning("relay waits", error=str(error))
                    self.is_waiting = True
                    if is_ending:
                        return
                    await self._backoff.wait()
                    continue
                if is_ending:
                    if not goes_on:
                        return
                elif not goes_on:
                    await self._wait_for_work()
        finally:
            await self._flight.give_up()

    async def clear(self) -> None:
        """Delete what is confirmed and was still to be deleted when run() ended, if Postgres answers in a moment."""
        told = self._flight.told
        if told:
            with suppress(UnavailableError, TransientError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S), self._session.connection() as connection:
                    await _take_off(connection, list(told.items()), ())
                self._backlog.note_tried(told)
                self._flight.note_deleted()

    def _note_through(self) -> None:
        """Take note that servers answer: what has only been sent to them says nothing of that."""
        self._backoff.reset()
        self.is_waiting = False

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(RELAY_DELETE_DELAY_S if self._flight.told else RELAY_POLL_S):
                await self._backlog.woken.wait()
        except TimeoutError:
            pass

    async def _work(self, publisher: Publisher) -> bool:
        """Publish some rows, and deal with what has been answered. Say whether there is more to do at once.

        Where there is much to find, what is noted comes in turn with it; nothing is under way while it looks.
        """
        async with self._session.connection() as connection:
            relay = await self._number(connection)
            noted = self._backlog.window(self._flight.ids())
            if not self._is_to_look(noted):
                return await self._publish_own(publisher, connection, noted)
            await self._clear(publisher, connection, is_to_delete=True)
        self._has_looked = self._flight.is_empty
        if not self._has_looked:
            await self._flight.land()
            return True
        found = await self._look(publisher, relay)
        return bool(found) if self._is_ending else bool(self._backlog.rows) or self._is_look_due()

    async def _publish_own(self, publisher: Publisher, connection: Connection, noted: Known) -> bool:
        """Publish what is noted, and deal with what has been answered. Say whether more can follow at once."""
        await self._begin(publisher, connection, noted)
        is_room_wanted = len(self._backlog.rows) > len(self._flight.ids())
        has_cleared = await self._clear(publisher, connection, is_to_delete=is_room_wanted)
        return (has_cleared or self._flight.is_empty) and bool(self._backlog.window(self._flight.ids()))

    async def _number(self, connection: Connection) -> int:
        """Return its number, another one for each connection. What it had under the one before, any relay may take."""
        number = self._backlog.relay
        if number is None or connection is not self._claimed:
            number = await claim_outbox(connection)
            self._claimed = connection
            self._backlog.note_relay(number)
        return number

    def _is_to_look(self, noted: Known) -> bool:
        if self._is_ending:
            return True
        if self._is_look_due():
            return not (noted and self._has_looked)
        return not noted and self._flight.is_empty and not self._flight.told

    def _is_look_due(self) -> bool:
        return bool(self._backlog.left) or time.monotonic() >= self._look_at

    async def _begin(self, publisher: Publisher, connection: Connection, noted: Known) -> None:
        """Publish what is noted, if it can follow what is under way. A row that is gone is passed over."""
        self._has_looked = False
        if not noted or not self._flight.takes(()):
            return
        taken = await take_own(connection, noted)
        self._backlog.note_tried(noted.keys() - taken.left - {row_id for row_id, _ in taken.rows})
        if taken.rows and self._flight.takes(taken.rows):
            self._flight.begin(publisher, taken.rows)

    async def _clear(self, publisher: Publisher, connection: Connection, *, is_to_delete: bool) -> bool:
        """Deal with what has been answered, and say whether there was any.

        What is told is deleted if it is to be, or has waited long enough for more.
        """
        told, refused = self._flight.told, list[int]()
        failure: UnavailableError | None = None
        has_landed = False
        try:
            while (landed := self._flight.landed()) is not None:
                has_landed = True
                heard, refusals = await self._hear(publisher, *landed)
                self._flight.note_told(heard)
                refused += refusals
        except UnavailableError as error:
            failure = error  # what was told before goes all the same: else it would be told again
        tried = [*told, *refused]
        is_to_delete |= bool(refused) or failure is not None or self._flight.has_told_long
        if tried and is_to_delete:
            await _take_off(connection, list(told.items()), refused)
            self._backlog.note_tried(tried)
            self._flight.note_deleted()
        if failure is not None:
            raise failure
        if tried and is_to_delete:
            self._note_through()
        return has_landed or (bool(tried) and is_to_delete)

    async def _look(self, publisher: Publisher, relay: int) -> int:
        """Publish the oldest of all rows that are not another relay's, and return how many."""
        left = frozenset(self._backlog.left)
        refusals: Refused = {}
        async with self._session.transaction() as connection:
            taken = await take_oldest(connection, relay, self._backlog.rows, self._refusals.passed_over_id())
            if taken.rows:
                answers = await publisher.publish_each([outcome_publication(outcome) for _, outcome in taken.rows])
                told, refusals = await self._hear(publisher, taken.rows, answers)
                await _take_off(connection, told, refusals)
        ids = [row_id for row_id, _ in taken.rows]
        if refusals:
            self._refusals.pass_over(ids[-1], next(iter(refusals.values())))
        # Where the oldest rows are all its own worker's, none has been waiting to be found.
        if not taken.may_be_more or self._backlog.rows.keys() >= set(ids):
            self._look_at = time.monotonic() + RELAY_POLL_S
        else:
            self._look_at = 0.0
        # What else lies before the last of them is gone, or another relay is at it.
        last = ids[-1] if ids else 0
        self._backlog.note_tried(left.union(ids) if not taken.may_be_more else {*ids, *(i for i in left if i < last)})
        return len(ids)

    async def _hear(self, publisher: Publisher, rows: Sequence[Row], answers: Answers) -> tuple[list[Row], Refused]:
        """Publish the replies of what is confirmed. Return that, and what a queue refused."""
        told = [row for row, answer in zip(rows, answers, strict=True) if isinstance(answer, bool)]
        replies = [reply for _, outcome in told if (reply := reply_publication(outcome)) is not None]
        replied = await self._reply(publisher, replies)
        refused = {
            row_id: answer
            for (row_id, _), answer in zip(rows, answers, strict=True)
            if isinstance(answer, UnavailableError)
        }
        PUBLISHED.inc(len(told))
        REFUSED.inc(len(refused))
        UNROUTED.labels("outcome").inc(answers.count(False))
        UNROUTED.labels("reply").inc(replied.count(False))
        return told, refused

    async def _reply(self, publisher: Publisher, replies: list[Publication]) -> list[bool]:
        """Publish the replies. Where they alone have no connection to go by, they are given up, and no outcome is."""
        try:
            return await self._replies.publish(replies)
        except LinkLostError:
            if publisher.is_lost:
                raise
            return [False] * len(replies)


async def _take_off(connection: Connection, told: Sequence[Row], refused: Iterable[int]) -> None:
    """Delete what is told. What a queue refused is left for a later round, to whichever relay finds it."""
    if told:
        await delete_outbox(connection, told)
    if released := list(refused):
        await release_outbox(connection, released)
