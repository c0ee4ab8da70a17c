"""Wallets as their owners state them, in the books, through a whole worker and by the command line; and what draws."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from schemas.codec import parse
from schemas.registration import WalletName
from schemas.wallet import WalletPut
from tests.integration.command_line import CommandLine
from tests.places import Database
from tests.site import DEADLINE_S, WAITS_FOR_A_LOCK, Site, eventually
from worker.books.companies import put_policy
from worker.books.session import Session
from worker.books.wallets import draw, find_wallets, lock_wallets, put_wallets
from worker.domain.errors import ContendedError, RefusedError
from worker.domain.policy import Policy
from worker.domain.wallet import Wallet

ACME = Policy(company="acme", currency="EUR")
OTHER = Policy(company="other", currency="JPY")
W1, W2, A = WalletName("number", "W1"), WalletName("number", "W2"), WalletName("id", "A")


def wallet(**fields: object) -> WalletPut:
    return parse(WalletPut, {"number": "W1", "unconditional": 100, "version": 1} | fields)


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with Session(database.url, "test") as session:
        async with session.connection() as connection:
            await put_policy(connection, ACME)
            await put_policy(connection, OTHER)
        yield session


async def put(session: Session, *puts: WalletPut, policy: Policy = ACME) -> dict[int, RefusedError]:
    return await put_wallets(session, [(policy, each) for each in puts])


async def held(session: Session, company: str = "acme") -> list[Wallet]:
    async with session.connection() as connection:
        return await find_wallets(connection, company)


async def pay_from(session: Session, *draws: tuple[int, int]) -> None:
    async with session.transaction() as connection:
        await lock_wallets(connection, (), [number for number, _ in draws])
        await draw(connection, draws)


async def until_somebody_waits(session: Session) -> None:
    async def is_waiting() -> bool:
        async with session.connection() as connection:
            return bool(await connection.fetchval(WAITS_FOR_A_LOCK))

    await eventually(is_waiting)


# Statements.


async def test_a_wallet_is_created_and_stated_anew_by_either_of_its_names(session: Session) -> None:
    await put(session, wallet(id="A", conditional=7))
    await put(session, wallet(number=None, id="A", unconditional=50, version=2))
    await put(session, wallet(unconditional=60, version=3))
    await put(session, wallet(number="W9", id="A", unconditional=70, version=4))

    (found,) = await held(session)
    assert found.names == {"id": "A", "number": "W9"}
    assert (found.unconditional, found.conditional, found.drawn, found.version) == (7_000, 0, 0, 4)
    assert (found.company, found.currency) == ("acme", "EUR")


async def test_a_statement_that_is_late_or_comes_twice_is_ignored(session: Session) -> None:
    await put(session, wallet(version=5, unconditional=5), wallet(version=4, unconditional=4))
    assert await put(session, wallet(version=5, unconditional=55), wallet(version=3, unconditional=3)) == {}

    (found,) = await held(session)
    assert (found.unconditional, found.version) == (500, 5)


async def test_statements_of_one_batch_are_each_judged_after_the_one_before(session: Session) -> None:
    refusals = await put(
        session,
        wallet(),
        wallet(number="W2"),
        wallet(version=2, id="A"),
        wallet(version=3, id="A", number="W2"),  # by now names of two wallets
        wallet(version=3, number=None, id="A", unconditional=3),
        wallet(version=3, unconditional=9),  # came twice
    )

    assert {index: refusal.errors[0]["field"] for index, refusal in refusals.items()} == {3: "message"}
    first, second = await held(session)
    assert (first.names, first.version, first.unconditional) == ({"id": "A", "number": "W1"}, 3, 300)
    assert (second.names, second.version, second.unconditional) == ({"number": "W2"}, 1, 10_000)


async def test_a_name_that_a_wallet_gave_up_is_free_for_the_next_statement_of_the_batch(session: Session) -> None:
    await put(session, wallet(id="A"), wallet(id="B", number="W2"))
    refusals = await put(
        session,
        wallet(id="A", number="W3", version=2),
        wallet(id="B", number="W1", version=2),
        wallet(id="A", number="W2", version=3),
        wallet(id="C", number="W3"),
    )

    assert refusals == {}
    assert [found.names for found in await held(session)] == [
        {"id": "A", "number": "W2"},
        {"id": "B", "number": "W1"},
        {"id": "C", "number": "W3"},
    ]


async def test_the_same_names_in_two_companies_are_two_wallets(session: Session) -> None:
    puts = [(ACME, wallet(id="A")), (OTHER, wallet(id="A", unconditional=7)), (ACME, wallet(id="A", version=2))]
    assert await put_wallets(session, puts) == {}

    (ours,), (others,) = await held(session, "acme"), await held(session, "other")
    assert (ours.currency, ours.unconditional, ours.version) == ("EUR", 10_000, 2)
    assert (others.currency, others.unconditional, others.version) == ("JPY", 7, 1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id": "B"}, "message"),
        ({"unconditional": "49.99"}, "unconditional"),
        ({"currency": "USD"}, "currency"),
        ({"conditional": "0.001"}, "conditional"),
    ],
)
async def test_a_statement_that_contradicts_the_books_is_refused_and_its_neighbours_are_not(
    session: Session, fields: dict[str, object], field: str
) -> None:
    await put(session, wallet(id="A"), wallet(number="W2", id="B"))
    before = await held(session)
    await pay_from(session, (before[0].id, 5_000))

    refusals = await put(session, wallet(version=2, **fields), wallet(number="W3"))

    assert {index: refusal.errors[0]["field"] for index, refusal in refusals.items()} == {0: field}
    assert [found.drawn_by(-found.drawn) for found in await held(session)][:2] == before
    assert [found.names["number"] for found in await held(session)] == ["W1", "W2", "W3"]


async def test_a_statement_keeps_what_has_been_drawn(session: Session) -> None:
    await put(session, wallet())
    await pay_from(session, ((await held(session))[0].id, 5_000))
    assert await put(session, wallet(version=2, unconditional=50)) == {}

    (found,) = await held(session)
    assert (found.unconditional, found.drawn, found.available) == (5_000, 5_000, 0)


# Several at once.


@pytest.mark.usefixtures("patient_locks")
async def test_workers_that_put_the_same_new_wallets_in_any_order_make_each_once(
    session: Session, database: Database
) -> None:
    async def put_all(worker: int) -> None:
        async with Session(database.url, "test") as own:
            names = [f"W{number}" for number in range(20)][:: -1 if worker % 2 else 1]
            await put(own, *(wallet(number=name, version=worker, unconditional=worker) for name in names))

    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(put_all(worker) for worker in range(1, 7)))

    found = await held(session)
    assert sorted(each.names["number"] for each in found) == sorted(f"W{number}" for number in range(20))
    assert {(each.version, each.unconditional) for each in found} == {(6, 600)}


async def test_a_new_wallet_that_somebody_else_has_just_put_is_tried_again(
    session: Session, database: Database
) -> None:
    """Whoever goes round the lock of the company still finds the index in the way, which is no fault of the message."""
    other = await asyncpg.connect(database.url)
    inserting = other.transaction()
    await inserting.start()
    await other.execute(
        "INSERT INTO wallets (company, number, currency, version, unconditional, conditional)"
        " VALUES ('acme', 'W1', 'EUR', 1, 0, 0)"
    )
    async with Session(database.url, "test") as own:
        putting = asyncio.create_task(put(own, wallet(version=2)))
        await until_somebody_waits(session)
        await inserting.commit()
        await other.close()
        with pytest.raises(ContendedError):
            await putting
        await put(own, wallet(version=2))

    assert [(found.version, found.unconditional) for found in await held(session)] == [(2, 10_000)]


@pytest.mark.usefixtures("patient_locks")
async def test_payments_and_statements_of_the_same_wallets_in_any_order_do_not_deadlock(
    session: Session, database: Database
) -> None:
    names = [WalletName("number", f"W{number}") for number in range(30)]
    await put(session, *(wallet(number=name.value) for name in names))

    async def pay_all(order: int) -> None:
        async with Session(database.url, "test") as own:
            for _ in range(10):
                async with own.transaction() as connection:
                    locked = await lock_wallets(connection, [("acme", name) for name in names[::order]])
                    await draw(connection, [(each.id, 100) for each in locked[::order]])

    async def put_all(order: int) -> None:
        async with Session(database.url, "test") as own:
            for version in range(2, 12):
                await put(own, *(wallet(number=name.value, version=version) for name in names[::order]))

    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(work(order) for work in (pay_all, put_all) for order in (1, -1)))

    assert {(found.version, found.drawn) for found in await held(session)} == {(11, 2_000)}


@pytest.mark.usefixtures("patient_locks")
async def test_a_statement_waits_for_a_payment_in_hand_and_is_judged_by_what_it_drew(
    session: Session, database: Database
) -> None:
    await put(session, wallet())
    async with Session(database.url, "payment") as payment, Session(database.url, "owner") as owner:
        async with payment.transaction() as connection:
            (locked,) = await lock_wallets(connection, [("acme", W1)])
            putting = asyncio.create_task(put(owner, wallet(version=2, unconditional=50)))
            await until_somebody_waits(session)
            await draw(connection, [(locked.id, 5_001)])
        refusals = await putting

    assert refusals[0].errors[0]["field"] == "unconditional"
    assert [(found.version, found.available) for found in await held(session)] == [(1, 4_999)]


# What payments do.


async def test_wallets_are_found_by_name_and_by_id_each_once_and_in_the_order_of_their_ids(session: Session) -> None:
    await put(session, wallet(id="A"), wallet(number="W2"), wallet(number="W3"), wallet(number="A"))
    await put(session, wallet(id="A"), policy=OTHER)
    first, second, third, fourth = await held(session)

    async with session.transaction() as connection:
        wanted = [("acme", W2), ("acme", A), ("acme", W1), ("acme", WalletName("id", "W1")), ("nobody", W2)]
        assert await lock_wallets(connection, wanted) == [first, second]
        assert await lock_wallets(connection, [("acme", W2)], [fourth.id, first.id, -1]) == [first, second, fourth]
        assert await lock_wallets(connection, (), [third.id]) == [third]
        assert await lock_wallets(connection, ()) == []


async def test_draws_are_summed_for_each_wallet_and_given_back_below_zero(session: Session) -> None:
    await put(session, wallet(), wallet(number="W2"), wallet(number="W3"))
    first, second, third = await held(session)

    await pay_from(session, (first.id, 6_000), (second.id, 100), (first.id, 4_000))
    assert await held(session) == [first.drawn_by(10_000), second.drawn_by(100), third]
    await pay_from(session, (first.id, -10_000), (second.id, 50), (second.id, -70))
    assert await held(session) == [first, second.drawn_by(80), third]
    await pay_from(session)


@pytest.mark.parametrize("amount_minor", [10_001, -1])
async def test_the_database_itself_refuses_to_draw_more_than_there_is_or_to_give_back_more_than_was_drawn(
    session: Session, amount_minor: int
) -> None:
    await put(session, wallet(conditional=500))
    (found,) = await held(session)
    with pytest.raises(asyncpg.CheckViolationError):
        await pay_from(session, (found.id, amount_minor))
    assert await held(session) == [found]


# Through a whole worker.


async def test_wallets_and_invoices_come_by_one_queue_each_in_its_order(site: Site) -> None:
    """All of it is queued before the worker starts, so that both kinds share a batch."""

    async def publish(message_type: str, **fields: object) -> None:
        key = str(fields.get("unconditional", fields.get("capital")))
        await site.publish("invoice", {"version": 1} | fields, key=key, type=message_type)

    for version in (1, 2, 4, 3):
        await publish("wallet.put.v1", number="W1", unconditional=version, version=version)
        await publish("invoice.put.v1", billcode="B1", capital=version, version=version)
    await publish("wallet.put.v1", id="A", number="W2", unconditional="1.50", conditional="0.50", currency="KWD")
    await publish("wallet.put.v1", id="A", number="W1", unconditional=11)
    await publish("wallet.put.v1", unconditional=12)
    await publish("wallet.put.v1", number="W1", unconditional="13.001", version=5)
    await publish("invoice.put.v1", number="W1", unconditional=14)
    await publish("invoice.put.v1", billcode="B1", capital="15.001", version=5)
    await publish("wallet.put.v1", number="last", unconditional=16)

    async with site.worker():
        letters = await site.dead_letters(5)
        last = "SELECT count(*) = 1 FROM wallets WHERE number = 'last'"
        await eventually(lambda: site.database.fetchval(last))

    assert {(letter["idempotency_key"], letter["reason"]) for letter in letters} == {
        (key, "invalid") for key in ("11", "12", "13.001", "14", "15.001")
    }
    assert {letter["idempotency_key"]: json.loads(letter["errors"])[0]["field"] for letter in letters}[
        "11"
    ] == "message"
    sql = "SELECT number, wallet_id, currency, version, unconditional, conditional FROM wallets ORDER BY id"
    assert [tuple(row) for row in await site.database.fetch(sql)] == [
        ("W1", None, "EUR", 4, 400, 0),
        ("W2", "A", "KWD", 1, 1_500, 500),
        ("last", None, "EUR", 1, 1_600, 0),
    ]
    assert await site.database.fetchval("SELECT capital FROM invoices") == 400


async def put_wallet(site: Site, **fields: object) -> None:
    """Publish a wallet and wait until it is in the books."""
    stated = {"number": "W1", "unconditional": 100, "version": 1} | fields
    await site.publish("invoice", stated, type="wallet.put.v1")
    sql = "SELECT count(*) > 0 FROM wallets WHERE number = $1 AND version >= $2"
    await eventually(lambda: site.database.fetchval(sql, stated["number"], stated["version"]))


async def pay(site: Site, key: str, billcode: str, amount: str, **fields: object) -> None:
    lines = [{"billcode": billcode, "amount": amount}]
    message = {"lines": lines, "paydate": "2017-10-10", "wallet": {"number": "W1"}} | fields
    await site.publish("registration", message, key=key, type="payment.register.v1")


async def available(site: Site) -> int:
    return int(await site.database.fetchval("SELECT unconditional - drawn FROM wallets WHERE number = 'W1'"))


async def test_only_unconditional_funds_pay_and_a_cancellation_gives_them_back(site: Site) -> None:
    async with site.worker():
        await put_wallet(site, id="A", conditional=900)
        for billcode, capital in (("B1", 80), ("B2", 50)):
            await site.put(billcode=billcode, capital=capital)
        for key, billcode, amount, left in (
            ("first", "B1", "all", 2_000),
            ("second", "B2", "all", 2_000),
            ("third", "B2", "20.01", 2_000),
            ("fourth", "B2", "20.00", 0),
            ("first", "B1", "all", 0),
        ):
            await pay(site, key, billcode, amount)
            await site.event_of(key)
            assert await available(site) == left
        await put_wallet(site, unconditional="100.50", version=2)
        assert await available(site) == 50
        await site.publish("invoice", {"number": "W1", "unconditional": 99, "version": 3}, type="wallet.put.v1")
        (letter,) = await site.dead_letters(1)
        await site.publish("registration", {"payment": "first"}, key="cancel", type="payment.cancel.v1")
        cancelled = await site.event_of("cancel")

    assert json.loads(letter["errors"])[0]["field"] == "unconditional"
    assert (cancelled.body["reason"], cancelled.body["settled_by"]) == ("cancelled", "wallet")
    assert await available(site) == 8_050
    sql = "SELECT idempotency_key, reason FROM payments WHERE idempotency_key <> 'cancel' ORDER BY id"
    assert [tuple(row) for row in await site.database.fetch(sql)] == [
        ("first", "booked"),
        ("second", "wallet_funds_insufficient"),
        ("third", "wallet_funds_insufficient"),
        ("fourth", "booked"),
    ]


async def test_another_companys_wallet_pays_nothing(site: Site) -> None:
    async with site.worker():
        await site.put(billcode="B1")
        await site.publish(
            "invoice", {"number": "W1", "unconditional": 999, "version": 1}, company="other", type="wallet.put.v1"
        )
        await eventually(lambda: site.database.fetchval("SELECT count(*) = 1 FROM wallets"))
        await pay(site, "first", "B1", "all")
        refused = await site.event_of("first")

    assert (refused.body["statusid"], refused.body["reason"]) == (1, "wallet_not_found")
    assert await available(site) == 99_900


async def test_several_workers_draw_no_more_than_there_is(site: Site) -> None:
    async with site.worker(), site.worker():
        await put_wallet(site, id="A")
        for number in range(10):
            await site.put(billcode=f"B{number}")
        for number in range(40):
            wallet_named = {"number": "W1"} if number % 2 else {"id": "A"}
            await pay(site, f"k{number}", f"B{number % 10}", "7.00", wallet=wallet_named)
        events = await site.events(40)

    reasons = [event.body["reason"] for event in events]
    assert (reasons.count("booked"), reasons.count("wallet_funds_insufficient")) == (14, 26)
    assert await available(site) == 200


# The command line.


@pytest.fixture
def line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


async def put_by_line(line: CommandLine, *arguments: str, company: str = "acme") -> dict[str, Any]:
    result = await line.succeed("wallets", "put", "--company", company, *arguments, "--json")
    record: dict[str, Any] = result.json
    return record


async def test_a_wallet_that_is_put_is_shown_and_listed_with_what_is_available(site: Site, line: CommandLine) -> None:
    record = await put_by_line(
        line, "--id", "A", "--number", "W1", "--unconditional", "250", "--conditional", "4e1", "--version", "7"
    )
    assert record == {
        "company": "acme",
        "id": "A",
        "number": "W1",
        "currency": "EUR",
        "unconditional": "250.00",
        "conditional": "40.00",
        "drawn": "0.00",
        "available": "250.00",
        "version": 7,
    }
    await site.database.execute("UPDATE wallets SET drawn = 1050")
    drawn = record | {"drawn": "10.50", "available": "239.50"}
    await put_by_line(line, "--number", "W1", "--unconditional", "9", company="other")
    for name in (("--id", "A"), ("--number", "W1")):
        assert (await line.succeed("wallets", "show", "--company", "acme", *name, "--json")).json == drawn
    assert (await line.succeed("wallets", "list", "--company", "acme", "--json")).json == [drawn]
    shown = (await line.succeed("wallets", "list", "--company", "acme")).stdout
    assert " ".join(shown.splitlines()[1].split()) == "A W1 EUR 250.00 40.00 10.50 239.50 7"


async def test_without_a_version_a_statement_is_the_next(line: CommandLine) -> None:
    first = await put_by_line(line, "--id", "A", "--unconditional", "1", "--currency", "JPY")
    second = await put_by_line(line, "--id", "A", "--number", "W1", "--unconditional", "2")
    assert (first["version"], second["version"]) == (1, 2)
    assert (second["unconditional"], second["currency"], second["number"]) == ("2", "JPY", "W1")
    both = asyncio.gather(*(put_by_line(line, "--id", "A", "--unconditional", str(amount)) for amount in (3, 4)))
    assert sorted(record["version"] for record in await both) == [3, 4]


@pytest.mark.parametrize("version", ["5", "6", None])
async def test_a_statement_that_is_ignored_is_said_to_be_and_shows_the_wallet_as_it_stands(
    line: CommandLine, version: str | None
) -> None:
    stored = "6" if version is not None else str(2**63 - 1)
    before = await put_by_line(line, "--id", "A", "--unconditional", "1", "--version", stored)
    again = ("--version", version) if version is not None else ()
    result = await line.succeed("wallets", "put", "--company", "acme", "--id", "A", "--unconditional", "2", *again)
    assert f"is not above the stored {stored}: nothing was changed" in result.stderr
    assert (await line.succeed("wallets", "list", "--company", "acme", "--json")).json == [before]


async def test_what_the_books_refuse_is_said_in_a_line_and_changes_nothing(site: Site, line: CommandLine) -> None:
    await put_by_line(line, "--id", "A", "--unconditional", "10")
    before = await put_by_line(line, "--number", "W1", "--unconditional", "10")
    await site.database.execute("UPDATE wallets SET drawn = 500")
    put = ("wallets", "put", "--company", "acme", "--number", "W1", "--unconditional")
    assert await line.fail(*put, "4.99") == "unconditional is less than what is already drawn: cancel payments first"
    assert await line.fail(*put, "10.001") == "unconditional has more than the 2 decimal digits of EUR"
    assert await line.fail(*put, "10", "--currency", "USD") == (
        "currency cannot change from EUR: payments are drawn in it"
    )
    assert await line.fail(*put, "10", "--id", "A") == "message has names of several wallets"
    shown = await line.succeed("wallets", "show", "--company", "acme", "--number", "W1", "--json")
    assert shown.json == before | {"drawn": "5.00", "available": "5.00"}


async def test_a_company_or_a_wallet_that_is_not_there_is_said_to_be(line: CommandLine) -> None:
    for command in (("put", "--id", "A", "--unconditional", "1"), ("show", "--id", "A"), ("list",)):
        assert "there is no company nobody" in await line.fail("wallets", *command, "--company", "nobody")
    told = await line.fail("wallets", "show", "--company", "acme", "--number", "W1")
    assert told == "company acme has no wallet with number W1"
    assert "wallets put" in (await line.succeed("wallets", "list", "--company", "acme")).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("put", "--unconditional", "1"), "needs at least one of id, number"),
        (("put", "--id", "", "--unconditional", "1"), "needs at least one of id, number"),
        (("put", "--id", "A"), "--unconditional"),
        (("put", "--id", "A", "--unconditional", "1,5"), "unconditional must be a decimal number such as 710.00"),
        (("put", "--id", "A", "--unconditional", "-1"), "unconditional must not be negative"),
        (("put", "--id", "A", "--unconditional", "1", "--currency", "EURO"), "currency must be an ISO 4217"),
        (("put", "--id", "A", "--unconditional", "1", "--version", "-1"), "--version"),
        (("show",), "give exactly one of --id, --number"),
        (("show", "--id", "A", "--number", "W1"), "give exactly one of --id, --number"),
    ],
)
async def test_wrong_use_is_told_before_the_books_are_asked(
    line: CommandLine, arguments: tuple[str, ...], told: str
) -> None:
    result = await line.run("wallets", *arguments, "--company", "nobody")
    assert result.status == 2
    assert told in result.error
