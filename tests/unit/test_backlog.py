from uuid import UUID

import pytest

from schemas.sources import SOURCES
from worker.backlog import Backlog
from worker.books.outbox import StoredOutcome
from worker.domain.message import ReturnAddress
from worker.domain.request import Request
from worker.domain.settlement import Replayed

RELAY = 1


def replayed(event: int) -> Replayed:
    source, asks = SOURCES["ropo.payment.v1"], ReturnAddress(reply_to="asks-again")
    return Replayed(Request(company="acme", key="key", source=source, return_address=asks), UUID(int=event))


def outcome(length: int = 1, event: int = 0) -> StoredOutcome:
    return StoredOutcome(
        event_id=UUID(int=event),
        company="acme",
        idempotency_key="key",
        source="ropo.payment.v1",
        statusid=6,
        body=bytes(length),
        replayed=False,
    )


@pytest.fixture
def backlog(monkeypatch: pytest.MonkeyPatch) -> Backlog:
    monkeypatch.setattr("worker.backlog.KEPT_BYTES_MAX", 10)
    monkeypatch.setattr("worker.backlog.RELAY_WINDOW_MESSAGES", 2)
    monkeypatch.setattr("worker.backlog.OUTBOX_BACKLOG_ROWS_MAX", 3)
    backlog = Backlog()
    backlog.note_relay(RELAY)
    return backlog


def test_a_window_holds_the_oldest_rows_and_the_next_one_those_after_them(backlog: Backlog) -> None:
    for row_id in (7, 8, 9):
        backlog.note_written({row_id: outcome()}, RELAY)
    assert list(backlog.window(set())) == [7, 8]
    backlog.note_tried([7, 8])
    assert list(backlog.window(set())) == [9]


def test_what_does_not_fit_is_noted_without_its_outcome_until_there_is_room_again(backlog: Backlog) -> None:
    backlog.note_written({1: outcome(6), 2: outcome(5), 3: outcome(4), 4: replayed(9)}, RELAY)
    assert [known is not None for known in backlog.rows.values()] == [True, False, True, False]
    backlog.note_tried([1, 2, 99])
    backlog.note_written({5: outcome(7), 6: outcome(6)}, RELAY)
    assert [known is not None for known in backlog.rows.values()] == [True, False, False, True]


def test_what_was_written_under_another_number_or_none_is_left_to_be_found(backlog: Backlog) -> None:
    backlog.note_written({1: outcome(6)}, RELAY)
    backlog.note_relay(2)
    backlog.note_written({2: outcome(6)}, RELAY)
    backlog.note_written({3: outcome(6)}, None)
    backlog.note_written({4: outcome(6)}, 2)
    assert (backlog.left, list(backlog.window(set()))) == ({1, 2, 3}, [4])
    assert backlog.rows[4] is not None, "what is left takes no room"
    assert backlog.is_full
    backlog.note_tried([1, 2, 4])
    assert (backlog.left, backlog.rows, backlog.is_full) == ({3}, {}, False)


def test_what_was_told_a_moment_ago_is_told_again_to_whoever_asks_now(
    backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.backlog.RECENT_BYTES_MAX", 5)
    backlog.note_written({1: outcome(2, event=7), 2: outcome(2, event=8)}, RELAY)
    backlog.note_tried([1, 2])
    backlog.note_written({3: replayed(7)}, RELAY)
    again = backlog.rows[3]
    assert again is not None
    assert (again.event_id, again.body, again.replayed) == (UUID(int=7), bytes(2), True)
    assert again.return_address.reply_to == "asks-again"
    backlog.note_written({4: outcome(2, event=9), 5: replayed(7), 6: replayed(8)}, RELAY)
    assert (backlog.rows[5], backlog.rows[6] is not None) == (None, True), "the oldest has made room"


async def test_who_books_waits_while_too_much_is_to_be_published(backlog: Backlog) -> None:
    backlog.note_written({row_id: outcome() for row_id in range(4)}, RELAY)
    assert backlog.is_full
    waiting = backlog.has_room()
    waiting.send(None)  # it waits
    backlog.note_tried([99])
    waiting.send(None)  # and does again, since what was tried is no row of its own
    backlog.note_tried([0])
    with pytest.raises(StopIteration):
        waiting.send(None)
