"""When a window may follow those that are on their way, whatever a broker makes of these."""

import asyncio
from collections.abc import Sequence
from typing import cast
from uuid import UUID

import pytest

from tests.site import DEADLINE_S
from worker.books.outbox import StoredOutcome
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.domain.errors import UnavailableError
from worker.flight import Answers, Flight, Row
from worker.limits import RELAY_DELETE_DELAY_S

REFUSED = UnavailableError("a queue takes no more")


class Answering:
    """Stands in for a publisher whose broker answers when and what it is told to."""

    def __init__(self) -> None:
        self.windows: asyncio.Queue[asyncio.Future[Answers]] = asyncio.Queue()

    async def publish_each(self, _: Sequence[Publication]) -> Answers:
        answers: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self.windows.put_nowait(answers)
        return await answers


def row(number: int) -> Row:
    event = UUID(int=number)
    return number, StoredOutcome(
        event_id=event, company="acme", idempotency_key="k", source="s", statusid=6, body=b"{}", replayed=False
    )


@pytest.mark.parametrize("answer", [REFUSED, "an exception", True])
async def test_after_trouble_nothing_follows_until_all_has_been_answered(answer: object) -> None:
    answering, landings = Answering(), asyncio.Queue[None]()
    publisher = cast("Publisher", answering)
    flight = Flight(lambda: landings.put_nowait(None))

    async def begin(number: int) -> "asyncio.Future[Answers]":
        assert flight.takes([row(number)])
        flight.begin(publisher, [row(number)])
        return await asyncio.wait_for(answering.windows.get(), DEADLINE_S)

    first, second = await begin(1), await begin(2)
    if isinstance(answer, str):
        first.set_exception(REFUSED)
        await asyncio.wait_for(landings.get(), DEADLINE_S)
        with pytest.raises(UnavailableError):
            flight.landed()
    else:
        first.set_result(cast("Answers", [answer]))
        await asyncio.wait_for(landings.get(), DEADLINE_S)
        assert flight.landed() == ([row(1)], [answer])
    assert (landings.qsize(), flight.ids(), flight.landed()) == (0, {2}, None)
    assert flight.takes([row(3)]) == (answer is True)
    second.set_result([True])
    await asyncio.wait_for(landings.get(), DEADLINE_S)
    assert flight.landed() == ([row(2)], [True])
    assert flight.is_empty
    await begin(3)
    assert flight.takes([row(4)])
    await flight.give_up()


async def test_what_is_confirmed_and_not_deleted_takes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.flight.PUBLISH_WINDOW_BYTES_MAX", 5)
    flight = Flight(lambda: None)
    flight.note_told([row(1)])
    assert (flight.takes([row(2)]), flight.takes([row(2), row(3)])) == (True, False)
    flight.told.clear()
    assert flight.takes([row(2), row(3), row(4)]), "alone it may be any length"


async def test_what_is_confirmed_waits_from_the_first_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock_s)
    flight = Flight(lambda: None)
    assert not flight.has_told_long
    flight.note_told([row(1)])
    clock_s += RELAY_DELETE_DELAY_S * 0.9
    flight.note_told([row(2)])
    assert not flight.has_told_long
    clock_s += RELAY_DELETE_DELAY_S * 0.2
    assert flight.has_told_long
