"""Whatever the driver raises when a connection ends is one thing to the worker: the link is lost."""

import asyncio

import aiormq
import pytest

from worker.broker.connection import link_errors
from worker.domain.errors import LinkLostError


@pytest.mark.parametrize(
    "raised",
    [
        aiormq.AMQPError("gone"),
        aiormq.exceptions.ChannelInvalidStateError("closed"),
        ConnectionResetError("reset"),
        TimeoutError(),
        # The driver raises it where the broker hangs up while a connection is being opened.
        StopAsyncIteration(),
        asyncio.CancelledError(),
    ],
    ids=lambda raised: type(raised).__name__,
)
async def test_what_the_driver_raises_as_a_link_ends_says_that_it_is_lost(raised: BaseException) -> None:
    with pytest.raises(LinkLostError, match=r"^opening: "), link_errors("opening"):
        raise raised
