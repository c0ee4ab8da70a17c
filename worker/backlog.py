"""What has been booked and not been published yet: whoever books writes it down, the relay works it off."""

import asyncio
from collections.abc import Iterable
from itertools import islice

from worker.books.outbox import Known, StoredOutcome
from worker.limits import KEPT_BYTES_MAX, OUTBOX_BACKLOG_ROWS_MAX, RELAY_WINDOW_MESSAGES


class Backlog:
    """The rows that this worker has written to the outbox, with their outcomes as far as those fit in memory.

    It spares the relay reading back what the worker has just written. What is to be published the outbox alone says:
    another worker's relay may have taken a row that is noted here, and rows may wait that are not.
    """

    def __init__(self) -> None:
        self._rows: dict[int, StoredOutcome | None] = {}
        self._kept_bytes = 0
        self._room = asyncio.Event()
        self.woken = asyncio.Event()
        """Set when something is noted."""

    def note_written(self, rows: Known) -> None:
        """Take note of rows that have been committed."""
        for row_id, outcome in rows.items():
            kept = outcome
            if outcome is not None and self._kept_bytes + len(outcome.body) > KEPT_BYTES_MAX:
                kept = None
            self._rows[row_id] = kept
            self._kept_bytes += len(kept.body) if kept is not None else 0
        self.woken.set()

    def note_tried(self, row_ids: Iterable[int]) -> None:
        """Forget rows that are published, refused by a queue, or another relay's. They may be another worker's."""
        for row_id in row_ids:
            kept = self._rows.pop(row_id, None)
            self._kept_bytes -= len(kept.body) if kept is not None else 0
        self._room.set()

    @property
    def rows(self) -> Known:
        """All that is noted, in the order of its being committed."""
        return self._rows

    def window(self) -> Known:
        """Return the first of it, as much as is published at a time."""
        return dict(islice(self._rows.items(), RELAY_WINDOW_MESSAGES))

    @property
    def is_full(self) -> bool:
        """True while so much is to be published, beside what queues refuse, that nothing more is booked."""
        return len(self._rows) > OUTBOX_BACKLOG_ROWS_MAX

    async def has_room(self) -> None:
        """Return once there is room for more."""
        while self.is_full:
            self._room.clear()
            await self._room.wait()
