"""Batches that overlap: what comes of them is what would come of one message after the other."""

import pytest

from tests.integration.dialects import CANCEL
from tests.site import ROPO, Site

MESSAGES = 96
BATCH = 16
FULL = 31
"""The first message of a full batch that overlaps with the one before, after batches of 1, 2, 4, 8 and 16."""
FAILING = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER fail BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.idempotency_key = 'failing')
    EXECUTE FUNCTION fail();
"""


async def test_payments_of_one_invoice_are_booked_in_the_order_in_which_they_came(site: Site) -> None:
    await site.policy("acme", overpayment="reject")
    await put_by(site, f"{MESSAGES // 2}.00")
    for number in range(MESSAGES):
        await site.pay({"amount": "1.00"}, key=f"k{number}")
    async with site.worker(batch_messages=BATCH):
        events = [event.body for event in await site.events(MESSAGES)]
    events.sort(key=lambda event: event["event_id"])  # as they were booked: they may be told in another order
    assert [event["idempotency_key"] for event in events] == [f"k{number}" for number in range(MESSAGES)]
    assert [event["status"] == "OHISPAY" for event in events] == [n < MESSAGES // 2 for n in range(MESSAGES)]
    left = [event["capitalafter"] for event in events[: MESSAGES // 2]]
    assert left == [f"{MESSAGES // 2 - number}.00" for number in range(1, MESSAGES // 2 + 1)]


@pytest.mark.parametrize("apart", [1, 8, 16])
async def test_a_payment_its_duplicate_and_its_cancellation_are_answered_in_their_order(site: Site, apart: int) -> None:
    """Side by side, two in each of two batches, and each in one of its own."""
    await put_by(site, "710.00")
    paid = FULL
    names = {paid: "paid", paid + apart: "again", paid + 2 * apart: "cancelled", paid + 3 * apart: "once more"}
    for number in range(MESSAGES):
        match names.get(number):
            case "paid" | "again" | "once more":
                await site.pay({"amount": "10.00"}, key="paid")
            case "cancelled":
                await site.publish("registration", {"payment": "paid"}, key="cancel", type=CANCEL)
            case _:
                await site.pay({"amount": "1.00"}, key=f"k{number}")
    async with site.worker(batch_messages=BATCH):
        events = await site.events(MESSAGES)
    about = [event for event in events if event.body["idempotency_key"] in {"paid", "cancel"}]
    told = [(event.body["idempotency_key"], event.body["status"], event.replayed) for event in about]
    assert told == [
        ("paid", "OHISPAY", False),
        ("paid", "OHISPAY", True),
        ("cancel", "CANCELLED", False),
        ("paid", "OHISPAY", True),
    ]


async def test_what_is_done_is_not_done_again_where_the_batch_after_it_fails(site: Site) -> None:
    await put_by(site, "710.00")
    await site.database.execute(FAILING)
    for number in range(MESSAGES):
        await site.pay({"amount": "1.00"}, key="failing" if number == FULL + 20 else f"k{number}")
    async with site.worker(batch_messages=BATCH):
        events = await site.events(MESSAGES - 1)
    assert not any(event.replayed for event in events)
    assert len({event.body["idempotency_key"] for event in events}) == MESSAGES - 1
    assert await site.database.fetchval("SELECT count(*) FROM payments") == MESSAGES - 1


@pytest.mark.parametrize("apart", [1, 16])
async def test_a_payment_of_another_company_is_told_from_none_wherever_batches_are_cut(site: Site, apart: int) -> None:
    await site.policy("other")
    for number in range(MESSAGES):
        match {FULL: "theirs", FULL + apart: "ours"}.get(number):
            case "theirs":
                await site.pay(key="theirs", company="other")
            case "ours":
                await site.publish("registration", {"payment": "theirs"}, key="cancel", type=CANCEL)
            case _:
                await site.pay(key=f"k{number}")
    async with site.worker(batch_messages=BATCH):
        events = await site.events(MESSAGES)
    (told,) = [event.body for event in events if event.body["idempotency_key"] == "cancel"]
    assert told["status"] == "DIFFCID"


async def test_dead_letters_of_batches_that_overlap_are_sent_and_their_neighbours_booked_once(site: Site) -> None:
    """The first of each batch is one that only the broker itself can move: the worker does not wait for that."""
    await put_by(site, "710.00")
    for number in range(MESSAGES):
        match (number - FULL) % BATCH:
            case 0:
                await site.pay(key=f"k{number}", company="not\x01printable")
            case 1 | 2 | 3 | 4 | 5:
                await site.pay(b"{", key=f"k{number}")
            case _:
                await site.pay({"amount": "1.00"}, key=f"k{number}")
    async with site.worker(batch_messages=BATCH):
        letters = await site.dead_letters(6 * MESSAGES // BATCH)
        events = await site.events(MESSAGES - len(letters))
    assert [(event.body["status"], event.replayed) for event in events] == [("OHISPAY", False)] * len(events)
    assert len(letters) == 6 * MESSAGES // BATCH
    assert site.is_quiet()


async def put_by(site: Site, capital: str) -> None:
    """State the invoice by a worker that has ended before the payments come."""
    async with site.worker():
        await site.put(capital=capital, billcode=ROPO["billcode"])
