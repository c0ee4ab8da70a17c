"""Payments that are undone, since they wait for something: the worker looks at them again when their time has come."""

import asyncio
from collections.abc import Mapping, Sequence

from worker.backlog import Backlog
from worker.books.pending import take_pending
from worker.books.session import Session
from worker.domain.errors import PolicyChangedError, RefusedError, UnavailableError
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request
from worker.domain.view import Moment
from worker.limits import PENDING_POLL_S, PENDING_ROWS_MAX
from worker.outage import Backoff
from worker.pipeline import Clock, policies_of, settle_and_tell
from worker.telemetry import log, named


class Undone:
    """Looks for undone payments, on a session of its own."""

    def __init__(self, session: Session, backlog: Backlog, clock: Clock) -> None:
        self._session = session
        self._backlog = backlog
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled. Whatever goes wrong with payments that wait is told, and does not end the worker."""
        backoff = Backoff()
        while True:
            try:
                found = await self._reconsider()
            except Exception as error:  # noqa: BLE001 (whatever it is)
                log.warning("undone payments wait", error=named(error))
                await backoff.wait()
                continue
            backoff.reset()
            if not found:
                await asyncio.sleep(PENDING_POLL_S)

    async def _reconsider(self) -> int:
        """Look again at those whose time has come; return how many there were."""
        moment = self._clock()
        async with self._session.transaction() as connection:
            pending = await take_pending(connection, moment.now, PENDING_ROWS_MAX)
        if not pending:
            return 0
        policies = await policies_of(self._session, [message for message, _ in pending])
        requests: list[Request] = []
        for message, fingerprint in pending:
            try:
                request = read_request(message, policies.get(message.company), moment.today)
                requests.append(request.again(fingerprint))
            except RefusedError as refusal:
                log.error("undone payment cannot be read any more", company=message.company, error=refusal.text)
        await self._settle_apart(requests, policies, moment)
        return len(pending)

    async def _settle_apart(self, requests: Sequence[Request], policies: Mapping[str, Policy], moment: Moment) -> None:
        """Settle the requests; one that fails stays undone until its next time, and hurts no other."""
        try:
            await settle_and_tell(self._session, self._backlog, requests, policies, moment)
        except (UnavailableError, PolicyChangedError):
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it is one payment's)
            if len(requests) == 1:
                log.error("undone payment failed", company=requests[0].company, error=named(error))
                return
            middle = len(requests) // 2
            await self._settle_apart(requests[:middle], policies, moment)
            await self._settle_apart(requests[middle:], policies, moment)
