"""What has to be so after every fault, asked from outside: of the outcomes, of the books, of the broker."""

from collections import defaultdict

from tests.faults.payments import PAYMENT_CENTS
from tests.site import Event, Site, eventually
from worker.books.audit import audit
from worker.books.session import Session

QUEUES = ("payments.registrations", "payments.retry.5s", "payments.retry.30s", "payments.retry.300s")


async def assert_each_booked_and_told_once(site: Site, events: list[Event], keys: int, dead_letters: int = 0) -> None:
    """Each of the load's keys has one event_id and one booking, the sums are what that makes, and nothing waits."""
    event_ids: dict[str, set[str]] = defaultdict(set)
    for event in events:
        assert event.body["statusid"] == 6, event.body["reason"]
        event_ids[event.body["idempotency_key"]].add(event.body["event_id"])
    assert len(event_ids) == keys
    assert {len(of_key) for of_key in event_ids.values()} == {1}
    ask = site.database.fetchval
    assert await ask("SELECT count(*) FROM payments WHERE statusid = 6") == keys
    assert await ask("SELECT count(*) FROM allocations") == keys
    assert await ask("SELECT sum(capital) FROM allocations") == keys * PAYMENT_CENTS
    assert await ask("SELECT sum(capital_allocated) FROM invoices") == keys * PAYMENT_CENTS
    assert await ask("SELECT count(*) FROM dead_letters") == dead_letters
    await eventually(lambda: ask("SELECT NOT EXISTS (SELECT FROM outbox)"))
    for queue in QUEUES:
        assert await site.queue_is_empty(queue), queue
    async with Session(site.database_url, "audit") as session:
        assert (await audit(session)).findings == []
