"""A message that fails: what is tried again, where and how often, and that it hurts no neighbour."""

import json

import asyncpg
import pytest

from tests.faults.oracle import assert_each_booked_and_told_once
from tests.faults.payments import events_of, invoices, pay_many
from tests.site import WAITS_FOR_A_LOCK, Site, eventually
from worker.broker.delivery import ATTEMPTS_HEADER
from worker.limits import HEADER_BYTES_MAX, IMMEDIATE_ATTEMPTS_MAX

FAIL_ON_KEY = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
    CREATE TRIGGER fail BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.idempotency_key = 'bad')
        EXECUTE FUNCTION fail();
    CREATE SEQUENCE failures;
"""
FAIL_TIMES = "IF nextval('failures') <= {times} THEN RAISE EXCEPTION 'not now' USING ERRCODE = '{sqlstate}'; END IF;"
SERIALIZATION, DEADLOCK, LOCK_TIMEOUT, UNEXPECTED = "40001", "40P01", "55P03", "P0001"


async def fail(site: Site, times: int, sqlstate: str) -> None:
    """Have the payment with the key `bad` fail so many times."""
    await site.database.execute(FAIL_ON_KEY.format(body=FAIL_TIMES.format(times=times, sqlstate=sqlstate)))


async def tries(site: Site) -> int:
    return int(await site.database.fetchval("SELECT last_value FROM failures"))


async def test_one_message_that_always_fails_hurts_no_neighbour_and_ends_as_poison(site: Site) -> None:
    await site.database.execute(FAIL_ON_KEY.format(body="RAISE EXCEPTION 'no';"))
    await invoices(site)
    await pay_many(site, 20)
    await site.pay({"billcode": "b1"}, key="bad", headers={ATTEMPTS_HEADER: 3})
    await pay_many(site, 20, start=20)
    async with site.worker():
        events = await events_of(site, 40)
        (letter,) = await site.dead_letters(1)

    await assert_each_booked_and_told_once(site, events, 40, dead_letters=1)
    assert (letter["reason"], letter["idempotency_key"]) == ("poison", "bad")
    assert "RaiseError" in letter["error"]
    assert json.loads(letter["properties"]).get("headers") == {}


async def test_a_message_that_fails_waits_in_a_retry_queue_and_comes_back_as_it_was(site: Site) -> None:
    """It fails in all tries of its first delivery and is booked after the shortest delay, five seconds."""
    await fail(site, 1, UNEXPECTED)
    await invoices(site)
    async with site.worker():
        await site.pay({"billcode": "b0"}, key="bad", correlation_id="c1", headers={"mine": [1]})
        event = await site.next_event()

    assert event.body["statusid"] == 6
    assert event.message.correlation_id == "c1"
    assert await tries(site) == 2


@pytest.mark.parametrize("sqlstate", [SERIALIZATION, DEADLOCK, LOCK_TIMEOUT])
async def test_what_may_pass_in_a_moment_is_tried_again_on_the_spot(site: Site, sqlstate: str) -> None:
    await fail(site, IMMEDIATE_ATTEMPTS_MAX - 1, sqlstate)
    await invoices(site)
    async with site.worker():
        await site.pay({"billcode": "b0"}, key="bad")
        event = await site.next_event()

    assert event.body["statusid"] == 6
    assert await tries(site) == IMMEDIATE_ATTEMPTS_MAX
    assert await site.queue_is_empty("payments.retry.5s")


async def test_what_does_not_pass_in_a_moment_is_tried_again_after_the_first_delay(site: Site) -> None:
    await fail(site, IMMEDIATE_ATTEMPTS_MAX, DEADLOCK)
    await invoices(site)
    async with site.worker():
        await site.pay({"billcode": "b0"}, key="bad")
        await eventually(lambda: waits_for_retry(site))
        assert await tries(site) == IMMEDIATE_ATTEMPTS_MAX
        event = await site.next_event()

    assert event.body["statusid"] == 6
    assert await tries(site) == IMMEDIATE_ATTEMPTS_MAX + 1


async def waits_for_retry(site: Site) -> bool:
    return not await site.queue_is_empty("payments.retry.5s")


async def test_a_real_deadlock_between_a_worker_and_another_session_costs_nobody_a_payment(site: Site) -> None:
    await invoices(site, 2)
    other = await asyncpg.connect(site.database_url)
    try:
        async with site.worker():
            async with other.transaction():
                # The worker locks b0 before b1, as all workers do; the other session the other way round.
                await other.execute("SET LOCAL deadlock_timeout = '100s'")
                await other.execute("SELECT FROM invoices WHERE billcode = 'b1' FOR UPDATE")
                lines = [{"billcode": "b0", "amount": "1.00"}, {"billcode": "b1", "amount": "1.00"}]
                body = {"amount": "2.00", "paydate": "2017-10-10", "lines": lines}
                await site.publish("registration", body, key="both", type="payment.register.v1")
                await eventually(lambda: site.database.fetchval(WAITS_FOR_A_LOCK))
                await other.execute("SELECT FROM invoices WHERE billcode = 'b0' FOR UPDATE")
            event = await site.next_event()
    finally:
        await other.close()

    assert event.body["statusid"] == 6
    assert await site.database.fetchval("SELECT sum(capital_allocated) FROM invoices") == 200


async def test_rows_that_stay_locked_hold_up_the_one_payment_that_asks_for_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.books.session.LOCK_TIMEOUT_MS", 100)
    await invoices(site)
    other = await asyncpg.connect(site.database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM invoices WHERE billcode = 'b3' FOR UPDATE")
            await pay_many(site, 10)
            async with site.worker():
                await eventually(lambda: waits_for_retry(site))
                events = await events_of(site, 9)
                assert all(event.body["lines"][0]["billcode"] != "b3" for event in events)
        async with site.worker():
            events = await events_of(site, 10, seen=events)
    finally:
        await other.close()

    await assert_each_booked_and_told_once(site, events, 10)


async def test_a_payment_that_another_session_holds_the_invoice_of_waits_for_it(site: Site) -> None:
    await invoices(site, 1)
    other = await asyncpg.connect(site.database_url)
    try:
        async with site.worker():
            async with other.transaction():
                await other.execute("SELECT FROM invoices FOR UPDATE")
                await site.pay({"billcode": "b0", "amount": 1}, key="k1")
                await eventually(lambda: site.database.fetchval(WAITS_FOR_A_LOCK))
                await other.execute("UPDATE invoices SET stated_state = 'CANCELLED'")
            event = await site.next_event()
    finally:
        await other.close()

    assert event.body["reason"] == "invoice_cancelled"


async def test_a_refusal_by_the_rules_is_an_answer_and_no_failure(site: Site) -> None:
    await invoices(site, 1)
    await site.policy(overpayment="reject")
    async with site.worker():
        await site.pay({"billcode": "b0", "amount": "99999.00"}, key="too-much")
        await site.pay({"billcode": "nowhere"}, key="unknown")
        events = await site.events(2)

    assert {event.body["reason"] for event in events} == {"overpayment", "invoice_not_found"}
    assert await site.database.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert not await waits_for_retry(site)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({ATTEMPTS_HEADER: 3}, "poison"),
        # So long that no client can publish it again: only the broker itself can move it to the dead letters.
        ({ATTEMPTS_HEADER: 3, "long": "x" * HEADER_BYTES_MAX}, "invalid"),
    ],
)
async def test_what_became_a_dead_letter_does_not_become_one_again_by_an_outage_in_its_batch(
    site: Site, headers: dict[str, object], reason: str
) -> None:
    """A lane takes 1, 2, then 4: the bad one is done with when the other half of the four meets a full disk."""
    body = (
        "IF NEW.idempotency_key = 'bad' THEN RAISE EXCEPTION 'no'; END IF;"
        "IF nextval('failures') <= 2 THEN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END IF;"
    )
    await site.database.execute(FAIL_ON_KEY.format(body=body).replace("= 'bad')", "IN ('bad', 'k5'))"))
    await invoices(site)
    for number in range(6):
        await pay_many(site, 1, start=number)
        if number == 3:
            await site.pay({"billcode": "b0"}, key="bad", headers=headers)
    async with site.worker():
        events = await events_of(site, 6)
        await site.dead_letters(1)
        await eventually(lambda: site.queue_is_empty("payments.dead-letters"))

    assert await tries(site) == 3
    (letter,) = await site.dead_letters(1)
    assert (letter["reason"], letter["count"]) == (reason, 1)
    await assert_each_booked_and_told_once(site, events, 6, dead_letters=1)
