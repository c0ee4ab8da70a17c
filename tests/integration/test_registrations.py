"""A registration's way through a whole worker: what comes back, and what stands in the books then."""

import asyncio

from tests.site import ROPO, Site, eventually
from worker.books.audit import audit
from worker.books.session import Session


async def open_capital(site: Site, billcode: str = "1234567") -> int:
    sql = "SELECT capital - capital_allocated FROM invoices WHERE billcode = $1"
    return int(await site.database.fetchval(sql, billcode))


async def test_a_payment_is_booked_and_the_event_tells_how(site: Site) -> None:
    async with site.worker():
        await site.put(jobid=5, billnum="R1234567", interest="10.00", noticefee=5)
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"}
        await site.pay({"type": "directpayment"}, key="k1", correlation_id="c1", headers=trace)
        event = await site.next_event()

    assert event.body["statusid"] == 6
    assert event.body["status"] == "OHISPAY"
    assert event.body["capitalbefore"] == "710.00"
    assert event.body["capitalafter"] == "0.00"
    assert event.body["focusedtocapital"] == "710.00"
    assert event.body["interestafter"] == "10.00"
    assert event.body["unfocused"] == "0.00"
    assert event.body["invoicestate"] == "OPEN"
    assert (event.body["jobid"], event.body["billcode"], event.body["billnum"]) == (5, "1234567", "R1234567")
    assert event.body["response"]["statustext"] == "Capital kirjattu"
    assert b'"focusedtocapital":710.00' in event.message.body
    assert event.message.routing_key == "outcome.acme.ohispay"
    assert event.message.message_id == event.body["event_id"]
    assert event.message.type == "payment.outcome.v1"
    assert event.message.content_type == "application/json"
    assert event.message.delivery_mode == 2
    assert event.message.correlation_id == "c1"
    assert event.message.headers == trace | {
        "idempotency-key": "k1",
        "statusid": 6,
        "source-type": "ropo.payment.v1",
        "replayed": False,
    }
    assert await open_capital(site) == 0


async def test_the_same_payment_again_is_answered_with_the_same_event(site: Site) -> None:
    async with site.worker():
        await site.put()
        await site.pay({"amount": 100}, key="k1")
        first = await site.next_event()
        await site.pay({"amount": "100.00", "unknown": True}, key="k1", correlation_id="second")
        second = await site.next_event()

    assert second.message.body == first.message.body
    assert second.message.message_id == first.message.message_id
    assert (first.replayed, second.replayed) == (False, True)
    assert second.message.correlation_id == "second"
    assert await open_capital(site) == 61_000


async def test_a_payment_that_names_the_currency_which_it_was_booked_in_is_no_other_payment(site: Site) -> None:
    line = {"billcode": "1234567", "amount": "100.00"}
    async with site.worker():
        await site.put()
        for body in ({"lines": [line]}, {"lines": [line], "currency": "EUR"}, {"lines": [line], "currency": "USD"}):
            await site.publish("registration", body | {"paydate": "2017-10-10"}, key="k1", type="payment.register.v1")
        booked, again, conflict = await site.events(3)

    assert (booked.body["reason"], again.replayed, again.message.body) == ("booked", True, booked.message.body)
    assert conflict.body["reason"] == "idempotency_conflict"
    assert await open_capital(site) == 61_000


async def test_another_payment_under_a_booked_key_is_a_conflict_and_changes_nothing(site: Site) -> None:
    async with site.worker():
        await site.put()
        await site.pay({"amount": 100}, key="k1")
        booked = await site.next_event()
        await site.pay({"amount": 101}, key="k1")
        conflict = await site.next_event()
        await site.pay({"amount": 100}, key="k1")
        again = await site.next_event()

    assert (conflict.body["statusid"], conflict.body["reason"]) == (1, "idempotency_conflict")
    assert conflict.body["payment_id"] == booked.body["payment_id"]
    assert str(booked.body["payment_id"]) in conflict.body["statustext"]
    assert conflict.body["unfocused"] == "101.00"
    assert again.message.body == booked.message.body
    assert await open_capital(site) == 61_000


async def test_a_key_is_used_up_only_by_a_booking(site: Site) -> None:
    async with site.worker():
        await site.pay({"amount": "nonsense"}, key="k1")
        await site.pay(key="k1")
        invalid, unknown = await site.events(2)
        await site.put()
        await site.pay({"amount": 5}, key="k1")
        booked = await site.next_event()

    assert [event.body["statusid"] for event in (invalid, unknown, booked)] == [1, 10, 6]
    assert len({event.body["event_id"] for event in (invalid, unknown, booked)}) == 3
    assert len({event.body["payment_id"] for event in (invalid, unknown, booked)}) == 1
    assert await open_capital(site) == 70_500


async def test_keys_of_two_companies_have_nothing_to_do_with_each_other(site: Site) -> None:
    async with site.worker():
        await site.put("acme")
        await site.put("other", capital="5.00")
        await site.pay({"amount": 1}, key="k1", company="acme")
        await site.pay({"amount": 2}, key="k1", company="other")
        first, second = await site.events(2)

    assert {(e.body["company"], e.body["focusedtocapital"]) for e in (first, second)} == {
        ("acme", "1.00"),
        ("other", "2.00"),
    }


async def test_the_first_and_last_day_of_the_calendar_are_kept_as_they_were_said(site: Site) -> None:
    async with site.worker():
        await site.put()
        await site.pay({"amount": 1, "paydate": "0001-01-01"}, key="k1")
        await site.pay({"amount": 1, "paydate": "9999-12-31"}, key="k2")
        await site.events(2)
    async with Session(site.database_url, "audit") as session:
        assert (await audit(session)).findings == []


async def test_a_change_of_the_companys_currency_leaves_what_was_booked_the_same_payment(site: Site) -> None:
    async with site.worker():
        await site.put()
        await site.pay(key="k1")
        first = await site.next_event()
        await site.policy(currency="USD")
        await site.pay(key="k1")
        again = await site.next_event()

    assert again.replayed
    assert again.message.body == first.message.body


async def test_an_outcome_without_a_listener_counts_as_published(site: Site) -> None:
    await site.outcomes.unbind("payments.outcomes", "#")
    async with site.worker():
        await site.put()
        await site.pay(key="k1")

        async def is_told() -> bool:
            sql = "SELECT EXISTS (SELECT FROM outcomes) AND NOT EXISTS (SELECT FROM outbox)"
            return bool(await site.database.fetchval(sql))

        await eventually(is_told)


async def test_many_workers_book_each_payment_once(site: Site) -> None:
    """Three workers, five invoices, each payment sent three times: the same keys and the same rows all the time."""
    payments = [(f"k{n}", {"amount": "1.00", "billcode": f"b{n % 5}"}) for n in range(300)]
    async with site.worker(), site.worker(), site.worker():
        for number in range(5):
            await site.put(billcode=f"b{number}", capital="1000.00")
        async with asyncio.TaskGroup() as group:
            for key, payment in payments * 3:
                group.create_task(site.pay(payment, key=key))
        events = await site.events(len(payments) * 3)

    assert all(event.body["statusid"] == 6 for event in events)
    firsts = [event for event in events if not event.replayed]
    assert len(firsts) == len({event.body["idempotency_key"] for event in firsts}) == len(payments)
    assert len({event.body["event_id"] for event in events}) == len(payments)
    assert [await open_capital(site, f"b{number}") for number in range(5)] == [94_000] * 5
    assert await site.database.fetchval("SELECT sum(capital) FROM allocations") == 30_000


async def test_ropo_looks_up_billcode_then_jobid_then_billnum(site: Site) -> None:
    async with site.worker():
        await site.put(billcode="by-billcode")
        await site.put(billcode="by-jobid", jobid=7)
        await site.put(billcode="by-billnum", billnum="R7")
        base = {key: value for key, value in ROPO.items() if key != "billcode"}
        everything = {"billcode": "by-billcode", "jobid": "7", "billnum": "R7"}
        await site.publish("registration", base | everything, key="k1")
        await site.publish("registration", base | everything | {"billcode": "unknown"}, key="k2")
        await site.publish("registration", base | {"billnum": "R7"}, key="k3")
        events = await site.events(3)

    assert [event.body["billcode"] for event in events] == ["by-billcode", "by-jobid", "by-billnum"]
