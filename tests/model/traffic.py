"""Messages on their way through workers and back: what was published, and every event that came."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from schemas import catalog
from tests.model.asked import Asked, PutInvoice, PutWallet, Rules
from tests.model.trial import to_policy
from tests.model.wire import Sent, Wire
from tests.site import Event, Site, eventually
from worker.app import App
from worker.books.companies import put_policy


@dataclass
class Traffic:
    """One run on a site. Steps are numbered as they are published; an event bears the number of the step it answers."""

    site: Site
    wire: Wire
    asked: list[Asked] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    async def set_up(self, rules: dict[str, Rules]) -> None:
        for company, of in rules.items():
            name = self.wire.company(company)
            await put_policy(self.site.database, to_policy(name, of))

    async def state(self, puts: Iterable[PutInvoice | PutWallet]) -> None:
        """Publish invoices and wallets that are new, and wait until they are in the books."""
        sent = [self.wire.send(put, number) for number, put in enumerate(puts)]
        await self.publish(sent)

        async def are_stated() -> bool:
            sql = "SELECT (SELECT count(*) FROM invoices) + (SELECT count(*) FROM wallets) = $1"
            return bool(await self.site.database.fetchval(sql, len(sent)))

        await eventually(are_stated)

    def number(self, asked: Iterable[Asked]) -> list[Sent]:
        """Return the messages of more steps."""
        sent = []
        for step in asked:
            sent.append(self.wire.send(step, len(self.asked)))
            self.asked.append(step)
        return sent

    def name(self, asked: Asked) -> tuple[str, str]:
        """Return the company and key of a step as they are on the wire."""
        return self.wire.company(asked.company), self.wire.key(asked.key)

    async def publish(self, sent: Iterable[Sent]) -> None:
        """Publish the messages, several at a time."""
        async with asyncio.TaskGroup() as group:
            for each in sent:
                group.create_task(self._publish(each))

    async def are_answered(self) -> None:
        """Wait until every step so far has had an event."""
        waiting = set(range(len(self.asked))) - {number_of(event) for event in self.events}
        while waiting:
            event = await self.site.next_event()
            self.events.append(event)
            waiting.discard(number_of(event))

    async def are_undone(self, names: Iterable[tuple[str, str]]) -> None:
        """Wait until these payments are the ones that the workers still look at."""
        expected = {(self.wire.company(company), self.wire.key(key)) for company, key in names}

        async def are_left() -> bool:
            sql = "SELECT company, idempotency_key FROM payments JOIN pending ON payment_id = id"
            return {tuple(row) for row in await self.site.database.fetch(sql)} == expected

        await eventually(are_left)

    async def are_through(self) -> None:
        """Wait until nothing is in the queues, and nothing to be published."""

        async def nothing_is_left() -> bool:
            empty = [await self.site.queue_is_empty(name) for name in _QUEUES]
            return all(empty) and not await self.site.database.fetchval("SELECT EXISTS (SELECT FROM outbox)")

        await eventually(nothing_is_left)

    async def take_rest(self) -> None:
        """Take the events that have come since; every one that was ever written must be among them."""
        rows = await self.site.database.fetch("SELECT event_id FROM outcomes")
        missing = {str(row["event_id"]) for row in rows} - {event.body["event_id"] for event in self.events}
        while missing or not self.site.is_quiet():
            event = await self.site.next_event()
            self.events.append(event)
            missing.discard(event.body["event_id"])

    def first_events(self) -> list[Event]:
        """Return each event once, in the order in which they were decided: of one process, their ids tell."""
        first = {event.body["event_id"]: event for event in reversed(self.events) if not event.replayed}
        return sorted(first.values(), key=lambda event: UUID(event.body["event_id"]))

    async def _publish(self, sent: Sent) -> None:
        await self.site.publish(
            sent.topic,
            sent.body,
            key=sent.key,
            company=sent.company,
            type=sent.type,
            correlation_id=sent.correlation_id,
        )


_QUEUES = (catalog.REGISTRATIONS_QUEUE, catalog.INVOICES_QUEUE, catalog.DEAD_LETTERS_QUEUE)


@asynccontextmanager
async def doomed_worker(site: Site) -> AsyncIterator["asyncio.Task[None]"]:
    """A worker that is cut off in the middle of what it does, at the latest at the end; what it holds comes again."""
    running = asyncio.create_task(App(site.settings()).run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])


def number_of(event: Event) -> int:
    """Return the number of the step that an event answers."""
    return int(event.message.correlation_id or "")
