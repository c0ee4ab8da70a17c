"""The way of a message, from the delivery to the acknowledgement, for each of the three queues.

RabbitMQ ── Intake.take ─▶ Registrations.process ─▶ read_request ─▶ settle_batch ─▶ COMMIT ─▶ Intake.acknowledge
                                   │  what cannot be read                              └─ outbox ─▶ Relay
                                   └─▶ dead_letter (published, confirmed) ──────────────────▶ Intake.acknowledge
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from schemas.catalog import is_company
from schemas.invoice import InvoicePut
from schemas.limits import FIELD_ERRORS_MAX
from schemas.wallet import WalletPut
from worker.backlog import Backlog
from worker.books.companies import KeptPolicies
from worker.books.dead_letters import file_dead_letters, resolve_dead_letters
from worker.books.ledger import settle_batch
from worker.books.session import Session
from worker.books.statements import put_invoices
from worker.books.wallets import put_wallets
from worker.broker.delivery import Delivery
from worker.broker.diversion import read_dead_letter
from worker.domain.errors import PolicyChangedError, RefusedError, UnavailableError
from worker.domain.message import Message
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request, read_statement
from worker.domain.settlement import Settled, Settlement
from worker.domain.view import Moment
from worker.telemetry import DEAD_LETTERS, OUTCOMES, REPLAYS, log, named
from worker.turns import Turn

Read = TypeVar("Read")
Clock = Callable[[], Moment]


class Divert(Protocol):
    """Sends a delivery to the dead letters, confirmed."""

    async def __call__(self, delivery: Delivery, refusal: RefusedError) -> None: ...


class Registrations:
    """payments.registrations: read, settle in one transaction, let the relay tell.

    Two batches may be at work at once, in turn on one session and on the other.
    """

    def __init__(self, sessions: tuple[Session, Session], backlog: Backlog, clock: Clock) -> None:
        self._sessions = sessions
        self._backlog = backlog
        self._clock = clock
        self._policies = (KeptPolicies(), KeptPolicies())

    async def process(self, batch: Sequence[Delivery], divert: Divert, turn: Turn) -> None:
        """Process the batch whole or raise; after a raise nothing of it counts as done."""
        session = self._sessions[turn.is_odd]
        messages = [delivery.message() for delivery in batch]
        policies = await policies_of(session, messages, self._policies[turn.is_odd])
        moment = self._clock()
        requests, refused = _read(batch, messages, policies, moment)
        if not requests:
            # Nothing will be looked up, which would tell of a policy that has changed since.
            policies = await policies_of(session, messages)
            requests, refused = _read(batch, messages, policies, moment)
        await turn.take(_names(requests))
        try:
            await settle_and_tell(session, self._backlog, requests, policies, moment, turn)
        except PolicyChangedError:
            for kept in self._policies:
                kept.forget()
            raise
        turn.note_committed()
        await turn.may_end()
        await _divert_all(refused, divert)
        await _resolve(session, batch, refused)


async def settle_and_tell(
    session: Session,
    backlog: Backlog,
    requests: Sequence[Request],
    policies: Mapping[str, Policy],
    moment: Moment,
    turn: Turn | None = None,
) -> None:
    """Settle the requests in one transaction as soon as the backlog has room, and note what is to be published."""
    if requests:
        await backlog.has_room()
        relay = backlog.relay
        committed = await settle_batch(session, requests, policies, moment, turn, relay)
        _count(committed.settlements)
        backlog.note_written(committed.outbox, relay)


async def policies_of(
    session: Session, messages: Sequence[Message], kept: KeptPolicies | None = None
) -> dict[str, Policy]:
    """Return the policies of the companies that the messages are for, of those that exist: those kept unread."""
    companies = {message.company for message in messages if is_company(message.company)}
    async with session.connection() as connection:
        return await (kept or KeptPolicies()).read(connection, companies)


def _read(
    batch: Sequence[Delivery], messages: Sequence[Message], policies: dict[str, Policy], moment: Moment
) -> tuple[list[Request], list[tuple[Delivery, RefusedError]]]:
    """Return what the deliveries ask for, and which become dead letters; what is invalid under a key is both."""
    requests: list[Request] = []
    refused: list[tuple[Delivery, RefusedError]] = []
    for delivery, message in zip(batch, messages, strict=True):
        try:
            request = read_request(message, policies.get(message.company), moment.today)
        except RefusedError as refusal:
            refused.append((delivery, refusal))
            continue
        requests.append(request)
        if request.unknown_fields:
            log.debug(
                "unknown fields", source=request.source.message_type, fields=request.unknown_fields[:FIELD_ERRORS_MAX]
            )
        if request.errors:
            refused.append((delivery, RefusedError.invalid(request.errors)))
    return requests, refused


def _names(requests: Sequence[Request]) -> set[object]:
    """Return by what names the requests speak of payments, invoices and wallets.

    Whose they are makes no difference: a request is told where what it names is another company's.
    """
    names: set[object] = set()
    for request in requests:
        names.add(request.key)
        if request.cancellation is not None:
            names.add(request.cancellation.payment_key)
        if request.registration is not None:
            names.update(*(line.identifiers for line in request.registration.lines))
            names.add(request.registration.wallet)
    return names - {None}


class Invoices:
    """payments.invoices: what owners state of their invoices and wallets."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def process(self, batch: Sequence[Delivery], divert: Divert, _turn: Turn) -> None:
        """Process the batch whole or raise."""
        messages = [delivery.message() for delivery in batch]
        policies = await policies_of(self._session, messages)
        refused: list[tuple[Delivery, RefusedError]] = []
        invoices: list[tuple[Delivery, tuple[Policy, InvoicePut]]] = []
        wallets: list[tuple[Delivery, tuple[Policy, WalletPut]]] = []
        for delivery, message in zip(batch, messages, strict=True):
            try:
                put = read_statement(message, policies.get(message.company))
            except RefusedError as refusal:
                refused.append((delivery, refusal))
                continue
            if isinstance(put, InvoicePut):
                invoices.append((delivery, (policies[message.company], put)))
            else:
                wallets.append((delivery, (policies[message.company], put)))
        # Two transactions: where only the first is done, its statements are ignored when they come again.
        refusals = await put_invoices(self._session, [put for _, put in invoices], self._clock().now)
        refused += [(invoices[index][0], refusal) for index, refusal in refusals.items()]
        refusals = await put_wallets(self._session, [put for _, put in wallets])
        refused += [(wallets[index][0], refusal) for index, refusal in refusals.items()]
        await _divert_all(refused, divert)
        await _resolve(self._session, batch, refused)


class DeadLetters:
    """payments.dead-letters: filed for people to look at."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def process(self, batch: Sequence[Delivery], _divert: Divert, _turn: Turn) -> None:
        """File the batch whole or raise. Nothing is diverted from here: what cannot be filed is held."""
        try:
            async with self._session.transaction() as connection:
                letters = [read_dead_letter(delivery).without_secrets() for delivery in batch]
                await file_dead_letters(connection, letters)
        except UnavailableError:
            raise
        except Exception as error:
            if len(batch) > 1:
                raise
            raise UnavailableError(f"a dead letter cannot be filed: {named(error)}") from error


async def _divert_all(refused: Sequence[tuple[Delivery, RefusedError]], divert: Divert) -> None:
    for delivery, refusal in refused:
        await divert(delivery, refusal)
        DEAD_LETTERS.labels(refusal.reason.value).inc()


async def _resolve(
    session: Session, batch: Sequence[Delivery], refused: Sequence[tuple[Delivery, RefusedError]]
) -> None:
    """Note the replayed dead letters that have now got through."""
    dead_again = {delivery.tag for delivery, _ in refused}
    resolved = [
        (delivery.dead_letter_id, delivery.message().company)
        for delivery in batch
        if delivery.dead_letter_id is not None and delivery.tag not in dead_again
    ]
    if resolved:
        async with session.transaction() as connection:
            await resolve_dead_letters(connection, resolved)


def _count(settlements: Sequence[Settlement]) -> None:
    statuses = Counter(settlement.verdict.status for settlement in settlements if isinstance(settlement, Settled))
    for status, count in statuses.items():
        OUTCOMES.labels(status.name).inc(count)
    REPLAYS.inc(len(settlements) - statuses.total())
