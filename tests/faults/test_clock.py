"""The worker's clock is set back in mid-run: what it says depends on it, what is booked does not."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

from tests.faults.oracle import assert_each_booked_and_told_once
from tests.faults.payments import events_of, invoices, pay_many
from tests.site import Site, eventually, running
from worker.app import App

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Clock:
    """Runs as the world's does, from where it was set."""

    def __init__(self) -> None:
        self.set(NOON)

    def set(self, now: datetime) -> None:
        self._ahead = now - datetime.now(UTC)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead


def worker(site: Site, clock: Clock) -> AbstractAsyncContextManager[App]:
    return running(App(site.settings(), now=clock))


async def test_a_clock_set_back_in_mid_run_loses_and_doubles_nothing(site: Site) -> None:
    clock = Clock()
    await invoices(site)
    async with worker(site, clock):
        await pay_many(site, 300)
        events = await events_of(site, 100)
        clock.set(NOON - timedelta(hours=5))
        await pay_many(site, 300, start=300)
        await pay_many(site, 100)  # once more: their keys are held, whatever the clock says
        events = await events_of(site, 600, seen=events)
        events += [await site.next_event() for _ in range(700 - len(events))]

    await assert_each_booked_and_told_once(site, events, 600)
    said = [datetime.fromisoformat(event.body["occurred_at"]) for event in events]
    assert min(said) < NOON - timedelta(hours=4) < NOON <= max(said)


async def test_a_payment_that_a_clock_set_back_puts_into_the_future_is_booked_once_the_clock_is_right(
    site: Site,
) -> None:
    clock = Clock()
    await invoices(site, 1)
    async with worker(site, clock):
        clock.set(NOON - timedelta(days=1))
        await site.pay({"billcode": "b0", "amount": "1.00", "paydate": "2026-03-10"}, key="k0")
        undone = await site.next_event()
        clock.set(NOON)
        booked = await site.next_event()

    assert (undone.body["reason"], undone.body["statusid"]) == ("paydate_in_future", 0)
    await assert_each_booked_and_told_once(site, [booked], 1)


async def test_an_invoice_that_is_awaited_is_waited_for_across_a_clock_set_back(site: Site) -> None:
    """The wait may grow by what the clock was set back, and ends when the clock is right."""
    clock = Clock()
    await site.policy(await_invoice_s=3600)
    async with worker(site, clock):
        await site.pay({"billcode": "b0", "amount": "1.00"}, key="k0")
        undone = await site.next_event()
        clock.set(NOON - timedelta(hours=5))
        await site.put(billcode="b0", capital="10.00")
        clock.set(NOON + timedelta(minutes=2))
        booked = await site.next_event()
        await eventually(lambda: site.database.fetchval("SELECT NOT EXISTS (SELECT FROM pending)"))

    assert undone.body["reason"] == "invoice_awaited"
    await assert_each_booked_and_told_once(site, [booked], 1)
