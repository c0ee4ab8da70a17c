"""A policy that changes while the worker runs: it keeps what it has read, and still goes by what holds now."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.integration.audited_books import NOW
from tests.integration.cancelled_books import pay
from tests.integration.company import found
from tests.integration.raw_publish import publish_raw
from tests.places import Database
from tests.site import Site, eventually
from worker.books.companies import KeptPolicies, put_policy, read_policies
from worker.books.ledger import settle_batch
from worker.books.session import LOOKUPS, Session
from worker.domain.errors import PolicyChangedError
from worker.domain.policy import Policy
from worker.domain.view import Moment

ACME = Policy(company="acme", currency="EUR")


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with Session(database.url, "test", settings=LOOKUPS) as session:
        async with session.connection() as connection:
            await put_policy(connection, ACME)
        yield session


@pytest.mark.asyncio(loop_scope="module")
async def test_a_change_holds_for_the_next_message_whether_it_refuses_that_or_takes_it(shared_site: Site) -> None:
    """Yen have no fraction: what was read as euros is read anew, and so is what was refused as yen."""
    company = await found(shared_site, currency="EUR")
    await company.put(capital="80", interest="15", noticefee="5")
    reasons = [(await company.pay("first", amount="1.50"))["reason"]]
    for key, currency in (("second", "JPY"), ("third", "EUR"), ("fourth", "EUR")):
        await shared_site.policy(company.name, currency=currency)
        reasons.append((await company.pay(key, amount="1.50"))["reason"])
    assert reasons == ["booked", "invalid", "booked", "booked"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_message_that_only_becomes_a_dead_letter_is_refused_by_what_holds_now(shared_site: Site) -> None:
    company = await found(shared_site, currency="JPY")
    assert (await company.pay("first", amount="1.50"))["reason"] == "invalid"
    await shared_site.policy(company.name, currency="EUR")
    body = json.dumps(company.says("no key", amount="1.50")).encode()
    await publish_raw(shared_site, f"registration.{company.name}".encode(), body=body)
    sql = "SELECT reason FROM dead_letters WHERE company = $1 ORDER BY id"

    async def are_filed() -> bool:
        return len(await shared_site.database.fetch(sql, company.name)) == 2

    await eventually(are_filed)
    reasons = [row["reason"] for row in await shared_site.database.fetch(sql, company.name)]
    assert reasons == ["invalid", "missing_idempotency_key"]


@pytest.mark.parametrize("change", ["UPDATE companies SET currency = currency", "DELETE FROM companies"])
async def test_what_was_worked_out_by_a_policy_that_changed_since_is_not_written(session: Session, change: str) -> None:
    async with session.connection() as connection:
        policies = await read_policies(connection, ["acme"])
        await connection.execute(change)
    with pytest.raises(PolicyChangedError):
        await settle_batch(session, [pay("k", ("b", "1.00"))], policies, Moment(NOW))
    async with session.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM payments") == 0
        await put_policy(connection, ACME)
        policies = await read_policies(connection, ["acme"])
    await settle_batch(session, [pay("k", ("b", "1.00"))], policies, Moment(NOW))


async def test_a_lock_on_a_company_is_no_change(session: Session) -> None:
    async with session.transaction() as connection:
        policies = await read_policies(connection, ["acme"])
        await connection.execute("SELECT FROM companies FOR NO KEY UPDATE")
    await settle_batch(session, [pay("k", ("b", "1.00"))], policies, Moment(NOW))


async def test_a_new_connection_keeps_nothing_of_the_one_before(session: Session) -> None:
    """Behind it may be books that were put back to an earlier state, in which a version means something else."""
    kept = KeptPolicies()
    async with session.connection() as connection:
        assert (await kept.read(connection, {"acme", "nobody"}))["acme"].currency == "EUR"
        await put_policy(connection, Policy(company="acme", currency="SEK"))
        assert (await kept.read(connection, {"acme"}))["acme"].currency == "EUR"
    await session.close()
    async with session.connection() as connection:
        assert (await kept.read(connection, {"acme"}))["acme"].currency == "SEK"


async def test_what_is_forgotten_while_more_is_read_does_not_become_unknown(session: Session) -> None:
    kept = KeptPolicies()

    async def forget() -> None:
        kept.forget()

    async with session.connection() as connection:
        await put_policy(connection, Policy(company="other", currency="EUR"))
        await kept.read(connection, {"acme"})
        read, _ = await asyncio.gather(kept.read(connection, {"acme", "other"}), forget())
        await put_policy(connection, Policy(company="acme", currency="SEK"))
        assert (await kept.read(connection, {"acme"}))["acme"].currency == "SEK"
    assert read.keys() == {"acme", "other"}


async def test_so_many_companies_are_kept_and_no_more(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.books.companies.KEPT_COMPANIES_MAX", 2)
    kept = KeptPolicies()
    async with session.connection() as connection:
        for number in range(4):
            await put_policy(connection, Policy(company=f"c{number}", currency="EUR"))
            assert (await kept.read(connection, {f"c{number}"})).keys() == {f"c{number}"}
        await put_policy(connection, Policy(company="c0", currency="SEK"))
        await put_policy(connection, Policy(company="c3", currency="SEK"))
        read = await kept.read(connection, {"c0", "c3"})
    assert {company: policy.currency for company, policy in read.items()} == {"c0": "SEK", "c3": "EUR"}
