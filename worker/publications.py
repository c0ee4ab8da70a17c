"""The messages that outcomes travel as."""

from functools import lru_cache

from schemas import catalog
from schemas.outcome import OUTCOME_TYPE, Status
from worker.books.outbox import StoredOutcome
from worker.broker.properties import PERSISTENT
from worker.broker.publication import Publication
from worker.broker.stamp import Stamp, Stamped
from worker.broker.topology import QUEUES
from worker.limits import ROUTES_KEPT

DOWNSTREAM_QUEUES_PREFIX = "outcomes."


def outcome_publication(outcome: StoredOutcome) -> Publication:
    """Return the outcome's message for the exchange, as it was the first time but for `replayed` and the trace."""
    status = Status(outcome.statusid)
    key = catalog.outcome_key(outcome.company, status.name)
    return Publication(catalog.OUTCOMES, key, outcome.body, _properties(outcome))


def reply_publication(outcome: StoredOutcome) -> Publication | None:
    """Return the copy for the queue that was asked to be answered, if any."""
    reply_to = outcome.return_address.reply_to
    # Nor to a queue of the worker's own: a sender could have the worker talk to itself.
    if not reply_to or reply_to in QUEUES or _is_of_another(reply_to, outcome.company):
        return None
    return Publication("", reply_to, outcome.body, _properties(outcome))


def _is_of_another(queue: str, company: str) -> bool:
    """Say whether the queue is a downstream's of another company: a sender could else put outcomes there."""
    return queue.startswith(DOWNSTREAM_QUEUES_PREFIX) and not queue.startswith(downstream_queue(company, ""))


def downstream_queue(company: str, name: str) -> str:
    """Return the name of a queue as the company's downstream may declare it: outcomes.<company>.<name>."""
    return f"{DOWNSTREAM_QUEUES_PREFIX}{company}.{name}"


def _properties(outcome: StoredOutcome) -> Stamped:
    address = outcome.return_address
    headers = {catalog.KEY_HEADER: outcome.idempotency_key}
    if address.traceparent is not None:
        headers[catalog.TRACE_HEADERS[0]] = address.traceparent
    if address.tracestate is not None:
        headers[catalog.TRACE_HEADERS[1]] = address.tracestate
    stamp = _stamp(outcome.statusid, outcome.source, outcome.replayed)
    return Stamped(stamp, str(outcome.event_id), address.correlation_id, headers)


@lru_cache(ROUTES_KEPT)
def _stamp(statusid: int, source: str, replayed: bool) -> Stamp:  # noqa: FBT001 (positional, as a cache takes it quickest)
    headers: dict[str, str | int | bool]
    headers = {catalog.STATUS_HEADER: statusid, catalog.SOURCE_HEADER: source, catalog.REPLAYED_HEADER: replayed}
    return Stamp(catalog.CONTENT_TYPE, PERSISTENT, OUTCOME_TYPE, headers)
