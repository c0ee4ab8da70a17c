"""The audit that never ends: slice by slice round the books, by one worker of all, and never in the lanes' way."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg

from worker.books.audit_slice import Round, Slice
from worker.books.session import Connection, Session
from worker.domain.errors import LockTimeoutError, TransientError
from worker.limits import (
    AUDIT_FINDINGS_LOGGED_MAX,
    AUDIT_POLL_S,
    AUDIT_SHARE_MAX,
    AUDIT_SLICE_ROWS_MAX,
    CLOSE_TIMEOUT_S,
)
from worker.outage import Backoff
from worker.telemetry import (
    AUDIT_ACTIVE,
    AUDIT_CHECKED,
    AUDIT_FINDINGS,
    AUDIT_ROUND_ENDED,
    AUDIT_ROUND_SECONDS,
    AUDIT_ROUNDS,
    AUDIT_STEPPED_OVER,
    log,
    named,
)

AUDIT_LOCK: int = 0x6175646974
"""The advisory lock ("audit" in ASCII) that the worker's session holds that goes round."""


class Auditor:
    """Goes round while no other worker does. No failure of it reaches the rest of the worker.

    pause_s: between two slices; poll_s: until the lock that another worker holds is tried again.
    """

    def __init__(self, session: Session, pause_s: float, poll_s: float = AUDIT_POLL_S) -> None:
        self._session = session
        self._pause_s = pause_s
        self._poll_s = poll_s
        self._locked: Connection | None = None
        self._backoff = Backoff()
        self._rows_max = AUDIT_SLICE_ROWS_MAX
        self._last_found: Counter[str] = Counter()
        self._begin()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Go round while the block runs."""
        task = asyncio.create_task(self.run(), name="audit")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=CLOSE_TIMEOUT_S)

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            pause_s = await self._turn()
            await asyncio.sleep(pause_s)

    async def _turn(self) -> float:
        """Check a slice, if it is this worker's turn, and return for how many seconds to pause."""
        try:
            if not await self._is_at_it():
                await self._session.close()
                return self._poll_s
            began = time.perf_counter()
            await self._check_slice()
        except Exception as error:  # noqa: BLE001 (whatever it is, the audit must not end the worker)
            log.warning("books not audited", error=named(error))
            self._rest()
            await self._session.close()
            return self._backoff.next_delay_s()
        self._backoff.reset()
        return max(self._pause_s, (time.perf_counter() - began) * (1 / AUDIT_SHARE_MAX - 1))

    async def _is_at_it(self) -> bool:
        """Say whether this worker is the one that goes round; the lock ends with the connection that took it."""
        async with self._session.connection() as connection:
            if self._locked is connection:
                return True
            is_at_it = bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", AUDIT_LOCK))
        self._rest()
        if is_at_it:
            self._locked = connection
            AUDIT_ACTIVE.set(1)
        return is_at_it

    def _rest(self) -> None:
        """Forget the round: who goes round next begins anew, and tells what there is to tell."""
        self._locked = None
        self._last_found = Counter()
        self._begin()
        AUDIT_ACTIVE.set(0)
        AUDIT_FINDINGS.clear()
        AUDIT_ROUND_ENDED.set(0)
        AUDIT_ROUND_SECONDS.set(0)

    def _begin(self) -> None:
        self._round = Round()
        self._began = time.time()
        self._found: Counter[str] = Counter()
        self._logged: Counter[str] = Counter()

    async def _check_slice(self) -> None:
        try:
            checked = await self._round.check(self._session, self._rows_max, AUDIT_FINDINGS_LOGGED_MAX)
        except LockTimeoutError:
            raise
        except (TransientError, asyncpg.PostgresError):
            await self._lighten()
        else:
            self._rows_max = min(self._rows_max * 2, AUDIT_SLICE_ROWS_MAX)
            if checked is not None:
                self._tell(checked)
        if self._round.is_over:
            self._end_round()

    async def _lighten(self) -> None:
        """Have the slice that failed or took too long be smaller; leave out a row that does so alone."""
        if self._rows_max > 1:
            self._rows_max //= 2
            return
        rows = await self._round.step_over(self._session)
        AUDIT_STEPPED_OVER.inc()
        log.error("left out of the audit: run `payment-worker audit`", rows=rows)

    def _tell(self, checked: Slice) -> None:
        AUDIT_CHECKED.labels(checked.walk).inc(checked.rows)
        self._found.update(checked.findings.counts)
        for kind in checked.findings.counts:
            AUDIT_FINDINGS.labels(kind).set(max(self._found[kind], self._last_found[kind]))
        for finding in checked.findings.first:
            self._logged[finding.kind] += 1
            if self._logged[finding.kind] <= AUDIT_FINDINGS_LOGGED_MAX:
                log.error("the books do not add up", kind=finding.kind, company=finding.company, of=finding.subject)

    def _end_round(self) -> None:
        for kind in self._found | self._last_found:
            AUDIT_FINDINGS.labels(kind).set(self._found[kind])
        self._last_found = self._found
        ended = time.time()
        AUDIT_ROUNDS.inc()
        AUDIT_ROUND_ENDED.set(ended)
        AUDIT_ROUND_SECONDS.set(ended - self._began)
        self._begin()
