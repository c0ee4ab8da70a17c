"""Rows of the outbox that a queue has refused: how long the relay passes them over."""

import time

from worker.domain.errors import UnavailableError
from worker.limits import RECONNECT_DELAY_MAX_S
from worker.outage import Backoff
from worker.telemetry import log


class Refusals:
    """Which rows are passed over for now: a queue that takes no more holds back its own outcomes, and no others.

    All up to a row are tried again once a while has passed: most of them have been refused.
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
