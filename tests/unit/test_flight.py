"""When a window may follow those that are on their way, whatever a broker makes of these."""

import asyncio
from collections.abc import Sequence
from typing import cast
from uuid import UUID

import pytest

from worker.books.outbox import StoredOutcome
from worker.broker.publisher import Publication, Publisher
from worker.domain.errors import UnavailableError
from worker.flight import Answers, Flight, Row

REFUSED = UnavailableError("a queue takes no more")


class Answering:
    """Stands in for a publisher whose broker answers when and what it is told to."""

    def __init__(self) -> None:
        self.windows: list[asyncio.Future[Answers]] = []

    async def publish_each(self, _: Sequence[Publication]) -> Answers:
        self.windows.append(asyncio.get_running_loop().create_future())
        return await self.windows[-1]


def row(number: int) -> Row:
    event = UUID(int=number)
    return number, StoredOutcome(
        event_id=event, company="acme", idempotency_key="k", source="s", statusid=6, body=b"{}", replayed=False
    )


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("answer", [REFUSED, "an exception", True])
async def test_after_trouble_nothing_follows_until_all_has_been_answered(answer: object) -> None:
    answering, landed = Answering(), list[None]()
    publisher = cast("Publisher", answering)
    flight = Flight(lambda: landed.append(None))
    for number in (1, 2):
        assert flight.takes([row(number)])
        flight.begin(publisher, [row(number)])
        await turn()
    if isinstance(answer, str):
        answering.windows[0].set_exception(REFUSED)
        await turn()
        with pytest.raises(UnavailableError):
            flight.landed()
    else:
        answering.windows[0].set_result(cast("Answers", [answer]))
        await turn()
        assert flight.landed() == ([row(1)], [answer])
    assert (len(landed), flight.ids(), flight.landed()) == (1, {2}, None)
    assert flight.takes([row(3)]) == (answer is True)
    answering.windows[1].set_result([True])
    await turn()
    assert flight.landed() == ([row(2)], [True])
    assert flight.is_empty
    assert flight.takes([row(3)])
    flight.begin(publisher, [row(3)])
    assert flight.takes([row(4)])
    await flight.give_up()
