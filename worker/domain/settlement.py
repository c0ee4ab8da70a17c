"""A batch of requests, one after the other, against what the books hold: the same result however a batch is cut."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import UUID

from schemas.outcome import Status
from schemas.registration import Identifier
from worker.domain.invoice import Invoice
from worker.domain.matching import Shelf, match
from worker.domain.outcome import compose
from worker.domain.policy import Policy
from worker.domain.request import Request
from worker.domain.verdict import Reason, Twin, Verdict, decide, unbooked

_LAST_DAY = date(9999, 12, 30)
"""A day later, midnight in a zone west of Greenwich is in the year 10000, which no timestamp holds."""
RECHECK_AFTER = timedelta(seconds=5)
"""When an awaited invoice is asked for again, should its arrival have been missed."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the books hold under a key. A key that is new has a payment id and nothing else."""

    payment_id: int
    fingerprint: bytes | None = None
    status: Status | None = None
    event_id: UUID | None = None
    awaited_since: datetime | None = None

    @property
    def is_booked(self) -> bool:
        return self.status is Status.OHISPAY

    def waits_for(self, request: Request) -> bool:
        """Say whether this is still what the request was held for: another delivery may have had its answer since."""
        return self.status is Status.UNDONE and self.fingerprint == request.fingerprint

    def waiting_since(self, now: datetime) -> datetime:
        """Return since when an unknown invoice is awaited: since now where that was to begin on a later day."""
        return min(self.awaited_since or now, now)


@dataclass(slots=True)
class View:
    """What the books say to a batch, read and locked in its transaction; kept current while the batch is settled."""

    held: dict[tuple[str, str], Held]
    invoices: dict[int, Invoice]
    named: Mapping[tuple[str, Identifier], int]
    """(company, identifier) → invoice id."""
    foreign: frozenset[tuple[str, Identifier]] = frozenset()
    twins: set[Twin] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a batch is settled, and in which time zone a payment date is a day."""

    now: datetime
    zone: tzinfo = UTC

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class Settled:
    """A new event about a payment."""

    request: Request
    verdict: Verdict
    payment_id: int
    event_id: UUID
    body: bytes
    changes_payment: bool = True
    """False where the event leaves the payment held under the key as it is."""
    awaited_since: datetime | None = None
    """Since when the worker tries again by itself; set, like wake_at, exactly where the payment is left undone."""
    wake_at: datetime | None = None
    """When it looks at the payment again."""
    awaits: tuple[Identifier, ...] = ()
    """Names of invoices whose arrival is a reason to look at once."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same request once more: the event of its booking is published again."""

    request: Request
    event_id: UUID


Settlement = Settled | Replayed


def settle(
    requests: Iterable[Request],
    view: View,
    policies: Mapping[str, Policy],
    moment: Moment,
    new_event_id: Callable[[], UUID],
) -> list[Settlement]:
    """Return what each request comes to, in order.

    A reconsidered one that is still undone, or no longer what its key waits for, comes to nothing. Changes the view:
    each request sees what the ones before it booked.
    """
    settlements: list[Settlement] = []
    for request in requests:
        held = view.held[request.identity]
        if request.reconsidered and not held.waits_for(request):
            continue
        if held.is_booked and held.event_id is not None and request.fingerprint == held.fingerprint:
            settlements.append(Replayed(request, held.event_id))
            continue
        policy = policies[request.company]
        verdict = _judge(request, held, view, policy, moment)
        if verdict.status is Status.UNDONE and request.reconsidered:
            continue
        settled = _settled(request, verdict, held, policy, moment, new_event_id())
        settlements.append(settled)
        if settled.changes_payment:
            _remember(settled, view)
    return settlements


def _judge(request: Request, held: Held, view: View, policy: Policy, moment: Moment) -> Verdict:
    registration = request.registration
    if registration is None:
        return Verdict(Status.FAIL, Reason.INVALID, "; ".join(f"{e['field']} {e['message']}" for e in request.errors))
    shelf = _shelf(request, view)
    matches = [match(line.identifiers, shelf, policy.identifiers) for line in registration.lines]
    if held.is_booked:
        text = f"The key belongs to payment {held.payment_id}, which is booked with other content"
        return Verdict(Status.FAIL, Reason.IDEMPOTENCY_CONFLICT, text, unbooked(registration, matches))
    may_await = moment.now < held.waiting_since(moment.now) + timedelta(seconds=policy.await_invoice_s)
    return decide(registration, matches, policy, moment.today, may_await=may_await, twins=view.twins)


def _shelf(request: Request, view: View) -> Shelf:
    """Return what the request's company has under the request's identifiers."""
    registration = request.registration
    wanted = {identifier for line in registration.lines for identifier in line.identifiers} if registration else set()
    named = {identifier: view.named.get((request.company, identifier)) for identifier in wanted}
    return Shelf(
        {identifier: view.invoices[invoice_id] for identifier, invoice_id in named.items() if invoice_id is not None},
        frozenset(identifier for identifier in wanted if (request.company, identifier) in view.foreign),
    )


def _settled(request: Request, verdict: Verdict, held: Held, policy: Policy, moment: Moment, event_id: UUID) -> Settled:
    body = compose(
        request,
        verdict,
        currency=policy.currency,
        event_id=event_id,
        occurred_at=moment.now,
        payment_id=held.payment_id,
    )
    settled = Settled(request, verdict, held.payment_id, event_id, body, changes_payment=not held.is_booked)
    registration = request.registration
    if verdict.status is not Status.UNDONE or registration is None:
        return settled
    if verdict.reason is Reason.PAYDATE_IN_FUTURE:
        # Should its invoice be unknown then, the wait for it begins on that day.
        awaited_since = wake_at = datetime.combine(min(registration.paydate, _LAST_DAY), time(), moment.zone)
    else:
        awaited_since = held.waiting_since(moment.now)
        wake_at = min(moment.now + RECHECK_AFTER, awaited_since + timedelta(seconds=policy.await_invoice_s))
    awaits = tuple(identifier for line in registration.lines for identifier in line.identifiers)
    return replace(settled, awaited_since=awaited_since, wake_at=wake_at, awaits=awaits)


def _remember(settled: Settled, view: View) -> None:
    """Let later requests of the batch see this one."""
    request, verdict = settled.request, settled.verdict
    view.held[request.identity] = replace(
        view.held[request.identity],
        fingerprint=request.fingerprint,
        status=verdict.status,
        event_id=settled.event_id,
        awaited_since=settled.awaited_since,
    )
    if not verdict.is_booked or request.registration is None:
        return
    for line in verdict.lines:
        if line.invoice is not None:
            view.invoices[line.invoice.id] = line.invoice.booked(line.allocation)
            paydate, payment_type = request.registration.paydate, request.registration.payment_type
            view.twins.add(Twin(line.invoice.id, paydate, line.line.amount_minor, payment_type))
