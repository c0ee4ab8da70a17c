"""Outcomes on their way out: published and not yet confirmed, or confirmed and not yet deleted."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from worker.books.outbox import StoredOutcome
from worker.broker.publisher import Publisher
from worker.domain.errors import UnavailableError
from worker.limits import PUBLISH_WINDOW_BYTES_MAX, RELAY_DELETE_DELAY_S
from worker.publications import outcome_publication

Row = tuple[int, StoredOutcome]
"""A row of the outbox, with its id."""
Answers = list[bool | UnavailableError]
"""Of each whether a queue took it, or why it may not have been published."""


class _Window(NamedTuple):
    rows: Sequence[Row]
    publishing: "asyncio.Task[Answers]"


class Flight:
    """The rows of a relay that are on their way, in their order.

    A window is published while those before it wait for their confirms, for which the broker takes longer than for all
    else. What is confirmed waits for a moment to be deleted together with more. All of it is no more than one window
    may be: so much is told again after a crash, and so much is published without waiting, so that all stay in order.
    After a refusal the next waits until all have come down.
    """

    def __init__(self, on_landed: Callable[[], None]) -> None:
        self._on_landed = on_landed
        self._windows: list[_Window] = []
        self._is_in_trouble = False
        """True from when some of it may not have been published until all has been answered."""
        self.told: dict[int, StoredOutcome] = {}
        """Confirmed, and still to be deleted. Whatever happens meanwhile, they are not published again."""
        self._told_at = 0.0

    @property
    def is_empty(self) -> bool:
        """True where nothing is published and unconfirmed."""
        return not self._windows

    @property
    def has_told_long(self) -> bool:
        """True where a confirmed row has waited long enough to be deleted."""
        return bool(self.told) and asyncio.get_running_loop().time() >= self._told_at + RELAY_DELETE_DELAY_S

    def note_told(self, rows: Iterable[Row]) -> None:
        """Take note that the rows are confirmed."""
        if not self.told:
            self._told_at = asyncio.get_running_loop().time()
        self.told.update(rows)

    def note_deleted(self) -> None:
        """Take note that what is told stands in the outbox no more."""
        self.told.clear()

    def ids(self) -> set[int]:
        """Return the rows that are on their way."""
        return {row_id for row_id, _ in self._rows()} | self.told.keys()

    def takes(self, rows: Sequence[Row]) -> bool:
        """Say whether the rows can follow at once. Where there are no others they can."""
        if self.is_empty and not self.told:
            return True
        all_bytes = sum(len(outcome.body) for _, outcome in chain(self._rows(), self.told.items(), rows))
        return all_bytes <= PUBLISH_WINDOW_BYTES_MAX and not self._is_in_trouble

    def begin(self, publisher: Publisher, rows: Sequence[Row]) -> None:
        """Publish the rows. on_landed is called when they have been answered."""
        if self.is_empty:
            self._is_in_trouble = False
        publications = [outcome_publication(outcome) for _, outcome in rows]
        publishing = asyncio.create_task(publisher.publish_each(publications))
        publishing.add_done_callback(self._note_answered)
        self._windows.append(_Window(rows, publishing))

    def _note_answered(self, publishing: "asyncio.Task[Answers]") -> None:
        if publishing.cancelled():
            return
        if publishing.exception() is not None or not all(isinstance(answer, bool) for answer in publishing.result()):
            self._is_in_trouble = True
        self._on_landed()

    def landed(self) -> tuple[Sequence[Row], Answers] | None:
        """Hand out the first window if it has been answered. Raises what its publishing raised; it is out then too."""
        if self.is_empty or not self._windows[0].publishing.done():
            return None
        rows, publishing = self._windows.pop(0)
        return rows, publishing.result()

    async def land(self) -> None:
        """Wait until all have been answered."""
        if self._windows:
            await asyncio.wait([window.publishing for window in self._windows])

    async def give_up(self) -> None:
        """Wait for no more answers: what has none is to be published again."""
        windows, self._windows = self._windows, []
        for window in windows:
            window.publishing.cancel()
        await asyncio.gather(*(window.publishing for window in windows), return_exceptions=True)

    def _rows(self) -> chain[Row]:
        return chain.from_iterable(window.rows for window in self._windows)
