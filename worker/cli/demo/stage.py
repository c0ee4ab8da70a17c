"""The demo's course: state the invoices, publish the payments, await what comes of them, and check it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from schemas import catalog
from schemas.codec import read_json
from schemas.registration import Identifier
from worker.books.lookup import lock_invoices
from worker.books.session import Session
from worker.books.sql import query
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.cli.demo import story
from worker.cli.demo.process import UnexpectedError, WorkerProcess
from worker.cli.demo.story import Payment
from worker.domain.allocation import NOTHING
from worker.domain.invoice import Invoice
from worker.domain.verdict import Reason

Found = TypeVar("Found")

POLL_S = 0.05
"""How often the books are asked for what no event tells of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome as a downstream gets it."""

    body: bytes
    event: dict[str, Any]
    is_replayed: bool


@dataclass(frozen=True, slots=True)
class FiledLetter:
    """A dead letter as ops finds it."""

    id: int
    reason: str
    error: str


class Stage:
    """One company on the two servers, with a worker on them and a downstream's queue for the company's outcomes."""

    def __init__(self, company: str, session: Session, connection: AbstractConnection, worker: WorkerProcess) -> None:
        self._company = company
        self._session = session
        self._connection = connection
        self._worker = worker
        self._publisher = Publisher(connection)
        self._arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()

    async def open(self) -> None:
        """Bind the queue."""
        channel = await self._connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(catalog.OUTCOMES, f"outcome.{self._company}.#")
        await queue.consume(self._arrived.put, no_ack=True)

    async def state(self, invoices: list[dict[str, Any]]) -> None:
        """Publish the invoices and wait until they are in the books."""
        for number, body in enumerate(invoices):
            await self._publish(story.invoice_publication(self._company, number, body))
        wanted = [story.named(body) for body in invoices]

        async def stated() -> bool:
            return len(await self.invoices(wanted)) == len(wanted)

        await self._until(stated, "the invoices")

    async def invoices(self, wanted: list[Identifier]) -> list[Invoice]:
        """Return the company's invoices of these names, as they are in the books."""
        async with self._session.transaction() as connection:
            return await lock_invoices(connection, [(self._company, name) for name in wanted])

    async def register(self, payments: dict[int, Payment]) -> dict[int, Answer]:
        """Publish the payments, each after the answer to the one before it; return the answers, by number."""
        answers: dict[int, Answer] = {}
        for number, payment in payments.items():
            await self._publish(story.payment_publication(self._company, number, payment))
            if payment.status is not None:
                message = await self._worker.expect(self._arrived.get(), f"the outcome of payment {number}")
                _expect("correlation id of the outcome", message.correlation_id, str(number))
                answers[number] = _answer(message)
        return answers

    async def dead_letter(self) -> FiledLetter:
        """Wait for the company's dead letter."""

        async def filed() -> FiledLetter | None:
            async with self._session.connection() as connection:
                row = await connection.fetchrow(query("demo_dead_letter"), self._company)
            return FiledLetter(**row) if row is not None else None

        return await self._until(filed, "the dead letter")

    async def _publish(self, publication: Publication) -> None:
        if not all(await self._publisher.publish([publication])):
            raise UnexpectedError("no queue takes what is published")

    async def _until(self, probe: Callable[[], Awaitable[Found | None]], what: str) -> Found:
        async def poll() -> Found:
            while not (found := await probe()):  # noqa: ASYNC110 (what another process commits sets no event here)
                await asyncio.sleep(POLL_S)
            return found

        return await self._worker.expect(poll(), what)


def check(payments: dict[int, Payment], answers: dict[int, Answer], letter: FiledLetter, reopened: Invoice) -> None:
    """Raise UnexpectedError for the first thing that is not as the story has it."""
    for number, payment in payments.items():
        if payment.status is None:
            _expect(f"dead letter of payment {number}", letter.reason, payment.reason)
            continue
        answer = answers[number]
        event = answer.event
        _expect(f"status of payment {number}", event["status"], payment.status.name)
        _expect(f"status id of payment {number}", event["statusid"], payment.status)
        _expect(f"reason of payment {number}", event["reason"], payment.reason)
        _expect(f"source of payment {number}", event["source"], payment.message_type)
        _expect(f"idempotency key of payment {number}", event["idempotency_key"], payment.key)
        _expect(f"focused amounts of payment {number}", _components(event, "focusedto{}"), payment.focused)
        _expect(f"unfocused amount of payment {number}", event["unfocused"], payment.unfocused)
        _expect(f"event of payment {number}", _like(event, payment.told), payment.told)
        _expect(f"header replayed of payment {number}", answer.is_replayed, payment.repeats)
        if payment.repeats:
            _expect(f"event id of payment {number}", event["event_id"], answers[1].event["event_id"])
            _expect(f"payment {number} answered byte for byte", answer.body == answers[1].body, expected=True)
        if payment.reason is Reason.CANCELLED:
            before = _components(answers[story.PART].event, "{}before")
            _expect("amounts open after the cancellation", _components(event, "{}after"), before)
    _expect("state of the invoice after the cancellation", reopened.state, "OPEN")
    _expect("allocated to the invoice after the cancellation", reopened.allocated, NOTHING)


def _components(event: dict[str, Any], names: str) -> tuple[str, ...]:
    return tuple(event[names.format(component)] for component in ("capital", "interest", "noticefee"))


def _like(found: object, expected: object) -> object:
    """Return of what is found just the fields that are expected."""
    match found, expected:
        case dict(), dict():
            return {name: _like(found.get(name), value) for name, value in expected.items()}
        case list(), list() if len(found) == len(expected):
            return [_like(*pair) for pair in zip(found, expected, strict=True)]
    return found


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise UnexpectedError(f"{what}: expected {expected}, found {found}")


def _answer(message: AbstractIncomingMessage) -> Answer:
    event = read_json(message.body)
    if not isinstance(event, dict):
        raise UnexpectedError("an outcome is no JSON object")
    return Answer(message.body, event, is_replayed=message.headers.get(catalog.REPLAYED_HEADER) is True)
