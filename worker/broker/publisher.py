"""What goes out: persistent, confirmed, in windows."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import cast

from aio_pika.abc import AbstractConnection

from worker.broker.channel import Channel, open_channel
from worker.broker.link import Link
from worker.broker.publication import Publication
from worker.domain.errors import LinkLostError, UnavailableError, UnconfirmedError
from worker.limits import PUBLISH_WINDOW_BYTES_MAX, PUBLISH_WINDOW_MESSAGES


class Publisher:
    """Publishes on a channel of its own and knows of each message that the broker has it.

    Several may publish at once. What fits a window goes out in the order in which they began.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._link = cast("Link", connection)
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()

    @property
    def is_lost(self) -> bool:
        """True once its connection has ended."""
        return self._link.is_closed

    async def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Publish all and await their confirms; say of each whether a queue took it.

        Raises LinkLostError where the connection ended, and UnavailableError where the broker refused a message or a
        confirm did not come in time. In each case any of them may have been published or not.
        """
        routed: list[bool] = []
        for answer in await self.publish_each(publications):
            if isinstance(answer, UnavailableError):
                raise answer
            routed.append(answer)
        return routed

    async def publish_each(self, publications: Sequence[Publication]) -> list[bool | UnavailableError]:
        """Publish all that can be: of each, whether a queue took it, or why it may not have been published.

        Raises UnavailableError where nothing can be published just now, LinkLostError where the connection ended.
        """
        answers: list[bool | UnavailableError] = []
        late: UnconfirmedError | None = None
        for window in _windows(publications):
            if late is None:
                confirmed = await self._publish_window(window)
                late = next((answer for answer in confirmed if isinstance(answer, UnconfirmedError)), None)
                answers += confirmed
            else:
                answers += [late] * len(window)  # not tried: whoever waits would wait as long again
        return answers

    async def _publish_window(self, window: Sequence[Publication]) -> list[bool | UnavailableError]:
        if self._link.is_blocked:
            raise UnavailableError("RabbitMQ takes no messages: it is short of memory or disk")
        channel = await self._opened()
        try:
            confirmed = await channel.publish(window)
        except LinkLostError as error:
            self._leave(channel)
            if self.is_lost:
                raise
            raise UnavailableError(f"RabbitMQ: {error}") from error  # only the channel: an exchange is missing
        if any(isinstance(answer, UnavailableError) for answer in confirmed) and not self._link.is_blocked:
            # RabbitMQ goes on refusing on a channel that has met a full queue, even where the queue's limit is lifted.
            self._leave(channel)
        if channel is not self._channel and not channel.is_publishing:
            with contextlib.suppress(LinkLostError):
                await channel.close()
        return confirmed

    async def _opened(self) -> Channel:
        async with self._opening:  # who comes first publishes first, also where there is no channel yet
            self._channel = self._channel or await open_channel(self._link)
            return self._channel

    def _leave(self, channel: Channel) -> None:
        """Publish nothing more on the channel. The last whose publishes are answered on it closes it."""
        if self._channel is channel:
            self._channel = None


def _windows(publications: Sequence[Publication]) -> Iterator[Sequence[Publication]]:
    """Cut the publications into what may be unconfirmed at a time, in messages and in bytes."""
    window: list[Publication] = []
    window_bytes = 0
    for publication in publications:
        window_bytes += len(publication.body)
        if len(window) == PUBLISH_WINDOW_MESSAGES or (window and window_bytes > PUBLISH_WINDOW_BYTES_MAX):
            yield window
            window, window_bytes = [], len(publication.body)
        window.append(publication)
    if window:
        yield window
