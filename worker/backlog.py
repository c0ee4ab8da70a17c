"""What has been booked and not been published yet: whoever books writes it down, the relay works it off."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from itertools import islice
from uuid import UUID

from msgspec.structs import replace

from worker.books.outbox import Known, StoredOutcome, Written
from worker.domain.settlement import Replayed
from worker.limits import KEPT_BYTES_MAX, OUTBOX_BACKLOG_ROWS_MAX, RECENT_BYTES_MAX, RELAY_WINDOW_MESSAGES


class Backlog:
    """The rows that this worker has written to the outbox, with their outcomes as far as those fit in memory.

    It spares the relay reading back what the worker has just written, and asking whether another relay has taken it:
    rows written under the relay's number are its own. All others are left for whichever relay finds them. A row that
    its relay finds before it is noted here is published twice.
    """

    def __init__(self) -> None:
        self.relay: int | None = None
        """The number of the worker's relay, to be written with each row; none as long as it has none."""
        self._rows: dict[int, StoredOutcome | None] = {}
        self.left: set[int] = set()
        """Rows under another number or none, which only a look finds."""
        self._kept_bytes = 0
        self._recent = _Recent()
        self._room = asyncio.Event()
        self.woken = asyncio.Event()
        """Set when something is noted."""

    def note_relay(self, relay: int) -> None:
        """Take note that the relay has another number, and that what it had before is nobody's own any more."""
        self.left.update(self._rows)
        self._rows.clear()
        self._kept_bytes = 0
        self.relay = relay

    def note_written(self, rows: Written, relay: int | None) -> None:
        """Take note of rows that have been committed under that number."""
        self.woken.set()
        if relay is None or relay != self.relay:
            self.left.update(rows)
            return
        for row_id, outcome in rows.items():
            kept = self._recent.again(outcome) if isinstance(outcome, Replayed) else self._recent.keep(outcome)
            if kept is not None and self._kept_bytes + len(kept.body) > KEPT_BYTES_MAX:
                kept = None
            self._rows[row_id] = kept
            self._kept_bytes += len(kept.body) if kept is not None else 0

    def note_tried(self, row_ids: Iterable[int]) -> None:
        """Forget rows that are published, refused by a queue, or gone. They may be another worker's."""
        for row_id in row_ids:
            kept = self._rows.pop(row_id, None)
            self._kept_bytes -= len(kept.body) if kept is not None else 0
            self.left.discard(row_id)
        self._room.set()

    @property
    def rows(self) -> Known:
        """The relay's own, in the order of their being committed."""
        return self._rows

    def window(self, under_way: AbstractSet[int]) -> Known:
        """Return the first of the relay's own, past those under way: with these, as many as are published at a time."""
        waiting = ((row_id, kept) for row_id, kept in self._rows.items() if row_id not in under_way)
        return dict(islice(waiting, max(0, RELAY_WINDOW_MESSAGES - len(under_way))))

    @property
    def is_full(self) -> bool:
        """True while so much is to be published, beside what queues refuse, that nothing more is booked."""
        return len(self._rows) + len(self.left) > OUTBOX_BACKLOG_ROWS_MAX

    async def has_room(self) -> None:
        """Return once there is room for more."""
        while self.is_full:
            self._room.clear()
            await self._room.wait()


class _Recent:
    """Outcomes of the last seconds: what is sent twice mostly comes again soon, and is told again by them."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[UUID, StoredOutcome] = OrderedDict()
        """By event. In a plain dict the first one is looked for past all that have been taken out before it."""
        self._kept_bytes = 0

    def keep(self, outcome: StoredOutcome) -> StoredOutcome:
        """Keep the outcome, in the place of the oldest."""
        self._outcomes[outcome.event_id] = outcome
        self._kept_bytes += len(outcome.body)
        while self._kept_bytes > RECENT_BYTES_MAX:
            _, oldest = self._outcomes.popitem(last=False)
            self._kept_bytes -= len(oldest.body)
        return outcome

    def again(self, item: Replayed) -> StoredOutcome | None:
        """Return the outcome as it is told once more, to whoever asks now; None where the books alone know it."""
        outcome = self._outcomes.get(item.event_id)
        if outcome is None:
            return None
        return replace(outcome, replayed=True, return_address=item.request.return_address)
