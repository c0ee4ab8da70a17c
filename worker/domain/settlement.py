"""A batch of requests, one after the other, against what the books hold: the same result however a batch is cut."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from uuid import UUID

from msgspec.structs import replace

from schemas.invalid import in_words
from schemas.limits import OUTCOME_BYTES_MAX
from schemas.outcome import Status
from schemas.registration import Identifier
from schemas.value import Value
from worker.domain.booking import booked
from worker.domain.cancellation import cancel
from worker.domain.decision import decide
from worker.domain.fingerprint import fingerprint
from worker.domain.matching import match
from worker.domain.outcome import Terms, compose
from worker.domain.policy import Policy
from worker.domain.request import Request
from worker.domain.verdict import Reason, Verdict, unbooked
from worker.domain.view import Held, Moment, View
from worker.limits import PENDING_RECHECK_MIN_S

_LAST_DAY = date(9999, 12, 30)
"""A day later, midnight in a zone west of Greenwich is in the year 10000, which no timestamp holds."""
RECHECK_AFTER = timedelta(seconds=PENDING_RECHECK_MIN_S)
"""When an awaited invoice is asked for again, should its arrival have been missed."""


class Settled(Value, frozen=True):
    """A new event about a payment."""

    request: Request
    verdict: Verdict
    terms: Terms
    payment_id: int
    event_id: UUID
    body: bytes = b""
    """The event; empty as long as it is judged and not told."""
    changes_payment: bool = True
    """False where the event leaves the payment held under the key as it is."""
    awaited_since: datetime | None = None
    """Since when the worker tries again by itself; set, like wake_at, exactly where the payment is left undone."""
    wake_at: datetime | None = None
    """When it looks at the payment again."""
    awaits: tuple[Identifier, ...] = ()
    """Names of invoices whose arrival is a reason to look at once."""


class Replayed(Value, frozen=True):
    """The same request once more: the event of its booking is published again."""

    request: Request
    event_id: UUID


Settlement = Settled | Replayed


def settle(
    requests: Sequence[Request],
    view: View,
    policies: Mapping[str, Policy],
    moment: Moment,
    new_event_id: Callable[[], UUID],
) -> tuple[list[Settlement], View]:
    """Return what each request comes to, in order, and what the books say after them.

    A reconsidered one that is still undone, or no longer what its key waits for, comes to nothing. Each request sees
    what the ones before it booked.
    """
    tell = partial(_told, moment=moment)
    # All are judged before any is told: by turns it takes a third longer, since neither finds its code in the caches.
    after = view.copy()
    judged = _settle_in_turn(requests, after, policies, moment, new_event_id)
    told = [tell(each) if isinstance(each, Settled) else each for each in judged]
    if any(map(_is_too_large, told)):
        # It is not booked after all, as those after it have to see.
        after = view.copy()
        told = _settle_in_turn(requests, after, policies, moment, new_event_id, tell)
    return told, after


def _is_too_large(settlement: Settlement) -> bool:
    return isinstance(settlement, Settled) and settlement.verdict.reason is Reason.OUTCOME_TOO_LARGE


def _settle_in_turn(
    requests: Iterable[Request],
    view: View,
    policies: Mapping[str, Policy],
    moment: Moment,
    new_event_id: Callable[[], UUID],
    tell: Callable[[Settled], Settled] | None = None,
) -> list[Settlement]:
    """Return what each request comes to, and keep the view current. tell: has each told before the next is judged."""
    settlements: list[Settlement] = []
    for request in requests:
        held = view.held[request.identity]
        if request.reconsidered and not held.waits_for(request):
            continue
        if held.is_used_up and held.event_id is not None and _is_the_same(request, held):
            settlements.append(Replayed(request, held.event_id))
            continue
        policy = policies[request.company]
        verdict = _judge(request, held, view, policy, moment)
        if verdict.status is Status.UNDONE and request.reconsidered:
            continue
        settled = _settled(request, verdict, held, view, policy, moment, new_event_id())
        if tell is not None:
            settled = tell(settled)
        settlements.append(settled)
        if settled.changes_payment:
            _remember(settled, view)
    return settlements


def _is_the_same(request: Request, held: Held) -> bool:
    """Say whether the request means what is booked under its key.

    A currency left out is the company's, so to name the one that it was booked in says no more than to name none.
    """
    if request.fingerprint == held.fingerprint:
        return True
    registration = request.registration
    if registration is None or registration.currency != held.currency:
        return False
    otherwise_said = replace(registration, states_currency=not registration.states_currency)
    return fingerprint(otherwise_said) == held.fingerprint


def _judge(request: Request, held: Held, view: View, policy: Policy, moment: Moment) -> Verdict:
    conflict = Status.FAIL, Reason.IDEMPOTENCY_CONFLICT
    conflict_text = f"The key belongs to payment {held.payment_id}, which was booked with other content"
    if request.cancellation is not None:
        return Verdict(*conflict, conflict_text) if held.is_used_up else cancel(request.cancellation, view, policy)
    registration = request.registration
    if registration is None:
        return Verdict(Status.FAIL, Reason.INVALID, in_words(request.errors))
    shelf = view.shelf(request)
    matches = [match(line.identifiers, shelf, policy.identifiers) for line in registration.lines]
    if held.is_used_up:
        return Verdict(*conflict, conflict_text, unbooked(registration, matches))
    may_await = moment.now < held.waiting_since(moment.now) + timedelta(seconds=policy.await_invoice_s)
    return decide(
        registration,
        matches,
        policy,
        moment.today,
        may_await=may_await,
        is_cancelled=held.is_cancelled,
        twins=view.twins,
        wallet=view.wallet(request),
    )


def _settled(
    request: Request, verdict: Verdict, held: Held, view: View, policy: Policy, moment: Moment, event_id: UUID
) -> Settled:
    terms = _terms(request, verdict, view, policy, moment)
    settled = Settled(request, verdict, terms, held.payment_id, event_id, changes_payment=not held.is_used_up)
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


def _told(settled: Settled, moment: Moment) -> Settled:
    """Return it with its event, of the verdict on a payment that cannot be told of where that would be too large."""
    request, verdict, terms = settled.request, settled.verdict, settled.terms
    tell = partial(compose, request, event_id=settled.event_id, occurred_at=moment.now, payment_id=settled.payment_id)
    body = tell(verdict, terms)
    if len(body) > OUTCOME_BYTES_MAX:
        if verdict.is_booked:
            text = "The outcome would be too large: split the payment, or shorten the names of its invoices"
            verdict = verdict.refused(Status.FAIL, Reason.OUTCOME_TOO_LARGE, text)
        body = tell(verdict, terms, tells_lines=False)
    return replace(settled, verdict=verdict, body=body)


def _terms(request: Request, verdict: Verdict, view: View, policy: Policy, moment: Moment) -> Terms:
    registration = request.registration
    if registration is not None:
        return Terms(registration.currency, registration.paydate, registration.payment_type, registration.settled_by)
    if verdict.is_cancellation and request.cancellation is not None:
        # Counter-entries are entries of the day on which they are made: the payment's own may be closed by now.
        booking = view.bookings[request.company, request.cancellation.payment_key]
        return Terms(booking.currency, moment.today, booking.payment_type, booking.settled_by)
    return Terms(policy.currency)


def _remember(settled: Settled, view: View) -> None:
    """Let later requests of the batch see this one."""
    request, verdict = settled.request, settled.verdict
    view.held[request.identity] = replace(
        view.held[request.identity],
        fingerprint=request.fingerprint,
        status=verdict.status,
        event_id=settled.event_id,
        currency=settled.terms.currency,
        awaited_since=settled.awaited_since,
        is_cancellation=verdict.is_cancellation,
    )
    if request.cancellation is not None and verdict.reason is not Reason.PAYMENT_IS_CANCELLATION:
        view.mark_cancelled((request.company, request.cancellation.payment_key))
    if verdict.moves_money:
        _move(settled, view)


def _move(settled: Settled, view: View) -> None:
    """Put the lines on their invoices, and the amount on the wallet; lines of a cancellation are below zero."""
    request, verdict = settled.request, settled.verdict
    for line in verdict.lines:
        if (invoice := line.invoice_after) is not None:
            view.invoices[invoice.id] = invoice
    if verdict.wallet_id is not None:
        view.wallets[verdict.wallet_id] = view.wallets[verdict.wallet_id].drawn_by(verdict.amount_minor)
    if request.registration is not None:
        booking = booked(settled.payment_id, request.registration, verdict)
        for twin in booking.twins:
            view.twins[twin] += 1
        view.bookings[request.identity] = booking
    elif request.cancellation is not None:
        booking = view.bookings[request.company, request.cancellation.payment_key]
        view.twins -= Counter(booking.twins)
