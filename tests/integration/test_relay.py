"""What a relay makes of the rows that its own worker has written, and of those that it finds."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.integration.relaying import Relaying, open_relaying
from tests.site import Site, eventually
from worker.books.outbox import StoredOutcome, Taken, Written, claim_outbox, take_oldest
from worker.books.session import Session
from worker.domain.settlement import Replayed


def bytes_of(rows: Written, row_id: int) -> int:
    outcome = rows[row_id]
    assert not isinstance(outcome, Replayed)
    return len(outcome.body)


@pytest.fixture
async def idle(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Relaying]:
    """One that has not begun, and will look once for what there is."""
    monkeypatch.setattr("worker.relay.RELAY_POLL_S", 3600.0)
    async with open_relaying(site, site.amqp_url) as idle:
        yield idle


@pytest.fixture
async def relaying(idle: Relaying) -> AsyncIterator[Relaying]:
    async with idle.waiting():
        yield idle


async def test_what_is_not_kept_is_read_and_told_in_its_order(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = await relaying.book_own("a", "first", "b", "c")
    assert [isinstance(row, Replayed) for row in rows.values()] == [False, True, False, False]
    monkeypatch.setattr("worker.backlog.KEPT_BYTES_MAX", bytes_of(rows, min(rows)))
    relaying.note(rows)
    assert await relaying.keys(4) == ["a", "first", "b", "c"]
    await eventually(relaying.is_told)


async def test_what_does_not_fit_a_window_together_is_told_in_the_next(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.books.outbox.RELAY_WINDOW_BYTES_MAX", 1)
    rows = await relaying.book_own("a", "b", "c", "d")
    first, *others = rows
    monkeypatch.setattr("worker.backlog.KEPT_BYTES_MAX", bytes_of(rows, first))
    relaying.note({row_id: rows[row_id] for row_id in (first, *reversed(others))})
    assert await relaying.keys(4) == ["a", "b", "c", "d"]
    await eventually(relaying.is_told)


async def test_a_look_takes_no_more_than_a_window_kept_or_not(idle: Relaying, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = await idle.book("a", "b", "c")
    kept = {row_id: outcome for row_id, outcome in rows.items() if isinstance(outcome, StoredOutcome)}
    a, b, c = kept
    monkeypatch.setattr("worker.books.outbox.RELAY_WINDOW_BYTES_MAX", bytes_of(rows, a) + bytes_of(rows, b))
    async with idle.session.transaction() as connection:
        relay = await claim_outbox(connection)
        for known in (kept, {}, {a: kept[a]}, {c: kept[c]}):
            taken = await take_oldest(connection, relay, known)
            assert ([row_id for row_id, _ in taken.rows], taken.left, taken.may_be_more) == ([a, b], {c}, True)


@pytest.mark.parametrize("gone", ["a", "b", "c", "abc"])
async def test_a_row_that_is_gone_before_it_was_read_holds_up_no_other(
    relaying: Relaying, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.backlog.KEPT_BYTES_MAX", 0)
    rows = await relaying.book_own("a", "b", "c")
    ids = [row_id for key, row_id in zip("abc", rows, strict=True) if key in gone]
    await relaying.site.database.execute("DELETE FROM outbox WHERE id = ANY ($1)", ids)
    relaying.note(rows)
    assert set(await relaying.keys(3 - len(gone))) == set("abc") - set(gone)
    await eventually(relaying.is_told)


async def test_the_rows_of_a_relay_that_lives_are_left_to_it_and_found_when_it_is_no_more(relaying: Relaying) -> None:
    async with Session(relaying.site.database_url, "another") as other:
        async with other.connection() as connection:
            number = await claim_outbox(connection)
        await relaying.book("another's", relay=number)
        relaying.note(await relaying.book_own("own"))
        relaying.backlog.note_written(await relaying.book("nobody's"), None)
        assert await relaying.keys(2) == ["own", "nobody's"]
        await eventually(relaying.has_forgotten)
        relaying.look()
        assert await relaying.tells_no_more()
    await eventually(relaying.is_alone)
    relaying.look()
    assert await relaying.keys(1) == ["another's"]
    await eventually(relaying.is_told)


async def test_a_relay_whose_session_is_lost_takes_another_number_and_finds_what_it_had(relaying: Relaying) -> None:
    before = relaying.backlog.relay
    rows = await relaying.book_own("a", "b")
    await relaying.relays.close()
    relaying.note(rows)
    assert await relaying.keys(2) == ["a", "b"]
    await eventually(relaying.is_told)
    assert relaying.backlog.relay != before
    relaying.backlog.note_written(await relaying.book("late", relay=before), before)
    assert await relaying.keys(1) == ["late"]
    await eventually(relaying.is_told)


async def test_what_is_gone_is_not_waited_for_while_there_is_more_to_find(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.books.outbox.RELAY_WINDOW_MESSAGES", 1)
    rows = await relaying.book("gone", "a", "b")
    await relaying.site.database.execute("DELETE FROM outbox WHERE id = $1", min(rows))
    looked: list[set[int]] = []

    async def note_left(*look: Any) -> Taken:
        looked.append(set(relaying.backlog.left))
        return await take_oldest(*look)

    monkeypatch.setattr("worker.relay.take_oldest", note_left)
    relaying.backlog.note_written(rows, None)
    assert await relaying.keys(2) == ["a", "b"]
    await eventually(relaying.is_told)
    assert looked[:2] == [set(rows), {max(rows)}]


async def test_the_number_of_a_relay_that_does_nothing_is_given_up(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the network is gone, the server would hold it for hours."""
    monkeypatch.setattr("worker.books.outbox.RELAY_IDLE_TIMEOUT_MS", 1)
    async with Session(relaying.site.database_url, "another") as other:
        async with other.connection() as connection:
            number = await claim_outbox(connection)
        await relaying.book("another's", relay=number)
        await eventually(relaying.is_alone)
        relaying.look()
        assert await relaying.keys(1) == ["another's"]


async def test_no_two_relays_that_live_have_one_number(relaying: Relaying) -> None:
    taken = relaying.backlog.relay
    await relaying.site.database.execute("SELECT setval('outbox_relays', $1, false)", taken)
    async with relaying.session.connection() as connection:
        assert await claim_outbox(connection) != taken


async def test_a_row_that_another_relay_is_at_is_left_to_it_and_found_where_that_gives_up(relaying: Relaying) -> None:
    rows = await relaying.book("a", "b")
    other = await asyncpg.connect(relaying.site.database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM outbox WHERE id = $1 FOR UPDATE", min(rows))
            relaying.backlog.note_written(rows, None)
            assert await relaying.keys(1) == ["b"]
    finally:
        await other.close()
    await eventually(relaying.has_forgotten)
    assert relaying.site.is_quiet()
    relaying.look()
    assert await relaying.keys(1) == ["a"]
    await eventually(relaying.is_told)


async def test_an_id_that_stands_for_another_event_than_the_one_published_is_not_deleted(relaying: Relaying) -> None:
    rows = await relaying.book_own("a", "b")
    (first, a), (second, b) = rows.items()
    relaying.note({first: b, second: a})
    assert await relaying.keys(2) == ["b", "a"]
    await eventually(relaying.has_forgotten)
    relaying.look()
    assert await relaying.keys(2) == ["a", "b"]
    await eventually(relaying.is_told)


async def test_a_look_reads_anew_what_an_id_stands_for_that_is_noted_with_another_event(relaying: Relaying) -> None:
    rows = await relaying.book_own("a", "b")
    (first, a), (second, b) = rows.items()
    relaying.relay.end()
    relaying.note({first: b, second: a})
    assert await relaying.keys(2) == ["a", "b"]
    await eventually(relaying.is_told)


async def test_a_row_whose_event_is_gone_holds_up_no_other(idle: Relaying) -> None:
    await idle.site.database.execute("INSERT INTO outbox (event_id, replayed) VALUES (gen_random_uuid(), false)")
    await idle.book("found")
    async with idle.running():
        assert await idle.keys(1) == ["found"]
        idle.note(await idle.book_own("noted"))
        assert await idle.keys(1) == ["noted"]
        await eventually(idle.has_forgotten)
    assert await idle.site.database.fetchval("SELECT count(*) FROM outbox") == 1


async def test_what_is_noted_does_not_wait_until_all_is_found_that_others_left(
    idle: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("books.outbox", "backlog"):
        monkeypatch.setattr(f"worker.{module}.RELAY_WINDOW_MESSAGES", 1)
    await idle.book("a", "b", "c")

    async def book_meanwhile(*look: Any) -> Taken:
        monkeypatch.setattr("worker.relay.take_oldest", take_oldest)
        idle.note(await idle.book_own("own", "own too"))
        return await take_oldest(*look)

    monkeypatch.setattr("worker.relay.take_oldest", book_meanwhile)
    async with idle.running():
        assert await idle.keys(5) == ["a", "own", "b", "own too", "c"]
        await eventually(idle.is_told)


async def test_a_relay_that_ends_tells_what_stands_in_the_outbox_first(relaying: Relaying) -> None:
    await relaying.book("left behind")
    relaying.relay.end()
    assert await relaying.keys(1) == ["left behind"]


async def test_a_relay_told_to_end_while_it_finds_nothing_tells_what_was_booked_meanwhile(
    idle: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end_meanwhile(*look: Any) -> Taken:
        monkeypatch.setattr("worker.relay.take_oldest", take_oldest)
        found = await take_oldest(*look)
        idle.note(await idle.book_own("own"))
        idle.relay.end()
        return found

    monkeypatch.setattr("worker.relay.take_oldest", end_meanwhile)
    await idle.relay.run(idle.publisher)
    assert await idle.is_told()
    assert await idle.keys(1) == ["own"]
