"""The way of a message, from the delivery to the acknowledgement, for each of the three queues.

RabbitMQ ── Lane.take ──▶ Registrations.process ─▶ read_request ─▶ settle_batch ─▶ COMMIT ─▶ Lane.acknowledge
                                 │  what cannot be read                 └─ outbox ─▶ Relay
                                 └─▶ dead_letter (published, confirmed) ───────────────▶ Lane.acknowledge
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from schemas.catalog import is_company
from schemas.invoice import InvoicePut
from schemas.limits import FIELD_ERRORS_MAX
from schemas.wallet import WalletPut
from worker.books.companies import read_policies
from worker.books.dead_letters import file_dead_letters, resolve_dead_letters
from worker.books.ledger import settle_batch
from worker.books.pending import take_pending
from worker.books.session import Session
from worker.books.statements import put_invoices
from worker.books.wallets import put_wallets
from worker.broker.delivery import Delivery
from worker.broker.diversion import read_dead_letter
from worker.domain.errors import DeadLetterReason, RefusedError, UnavailableError
from worker.domain.message import Message
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request, read_statement
from worker.domain.settlement import Settled, Settlement
from worker.domain.view import Moment
from worker.limits import PENDING_ROWS_MAX
from worker.relay import Relay
from worker.telemetry import DEAD_LETTERS, OUTCOMES, REPLAYS, log, named

Read = TypeVar("Read")
Clock = Callable[[], Moment]


class Divert(Protocol):
    """Sends a delivery to the dead letters, confirmed."""

    async def __call__(self, delivery: Delivery, refusal: RefusedError) -> None: ...


class Registrations:
    """payments.registrations: read, settle in one transaction, let the relay tell."""

    def __init__(self, session: Session, relay: Relay, clock: Clock) -> None:
        self._session = session
        self._relay = relay
        self._clock = clock

    async def process(self, batch: Sequence[Delivery], divert: Divert) -> None:
        """Process the batch whole or raise; after a raise nothing of it counts as done."""
        messages = [delivery.message() for delivery in batch]
        policies = await _policies(self._session, messages)
        moment = self._clock()
        refused: list[tuple[Delivery, RefusedError]] = []
        requests: list[Request] = []
        for delivery, message in zip(batch, messages, strict=True):
            try:
                request = read_request(message, policies.get(message.company), moment.today)
            except RefusedError as refusal:
                refused.append((delivery, refusal))
                continue
            requests.append(request)
            if request.unknown_fields:
                log.debug(
                    "unknown fields",
                    source=request.source.message_type,
                    fields=request.unknown_fields[:FIELD_ERRORS_MAX],
                )
            if request.errors:
                text = "; ".join(f"{error['field']} {error['message']}" for error in request.errors)
                refused.append((delivery, RefusedError(DeadLetterReason.INVALID, text, request.errors)))
        await self._settle(requests, policies, moment)
        await _divert_all(refused, divert)
        await _resolve(self._session, batch, refused)

    async def reconsider(self) -> int:
        """Look again at undone payments whose time has come; return how many there were."""
        moment = self._clock()
        async with self._session.transaction() as connection:
            pending = await take_pending(connection, moment.now, PENDING_ROWS_MAX)
        if not pending:
            return 0
        policies = await _policies(self._session, [message for message, _ in pending])
        requests: list[Request] = []
        for message, fingerprint in pending:
            try:
                request = read_request(message, policies.get(message.company), moment.today)
                requests.append(request.again(fingerprint))
            except RefusedError as refusal:
                log.error("undone payment cannot be read any more", company=message.company, error=refusal.text)
        await self._settle_apart(requests, policies, moment)
        return len(pending)

    async def _settle_apart(self, requests: Sequence[Request], policies: dict[str, Policy], moment: Moment) -> None:
        """Settle the requests; one that fails stays undone until its next time, and hurts no other."""
        try:
            await self._settle(requests, policies, moment)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it is one payment's)
            if len(requests) == 1:
                log.error("undone payment failed", company=requests[0].company, error=named(error))
                return
            middle = len(requests) // 2
            await self._settle_apart(requests[:middle], policies, moment)
            await self._settle_apart(requests[middle:], policies, moment)

    async def _settle(self, requests: Sequence[Request], policies: dict[str, Policy], moment: Moment) -> None:
        if requests:
            settlements = await settle_batch(self._session, requests, policies, moment)
            _count(settlements)
            await self._relay.written(len(settlements))


class Invoices:
    """payments.invoices: what owners state of their invoices and wallets."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def process(self, batch: Sequence[Delivery], divert: Divert) -> None:
        """Process the batch whole or raise."""
        messages = [delivery.message() for delivery in batch]
        policies = await _policies(self._session, messages)
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

    async def process(self, batch: Sequence[Delivery], _divert: Divert) -> None:
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


async def _policies(session: Session, messages: Sequence[Message]) -> dict[str, Policy]:
    companies = {message.company for message in messages if is_company(message.company)}
    async with session.connection() as connection:
        return await read_policies(connection, companies)


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
