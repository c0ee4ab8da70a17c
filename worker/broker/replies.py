"""Copies of outcomes for the queues that were asked to be answered, on a connection of their own.

A sender chooses where its reply goes, so a reply may do anything: meet a full queue, or a name at which the broker
closes the connection. It must not take an outcome down with it.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from aio_pika.abc import AbstractConnection

from worker.broker.connection import close, connect
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.domain.errors import UnavailableError
from worker.limits import REPLIES_TIMEOUT_S


class Replies:
    """Publishes replies. One that cannot be published is given up; the outcome itself is not."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: AbstractConnection | None = None
        self._publisher: Publisher

    async def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Publish the replies; say of each whether a queue took it. Raises LinkLostError where the broker is away."""
        if not publications:
            return []
        replied: list[bool] = []
        try:
            async with asyncio.timeout(REPLIES_TIMEOUT_S):
                with contextlib.suppress(UnavailableError):
                    answers = await (await self._connected()).publish_each(publications)
                    return [answer is True for answer in answers]
                await self.close()
                for publication in publications:
                    replied.append(await self._publish_alone(publication))  # noqa: PERF401 (some may be left out)
        except TimeoutError:
            await self.close()
        return replied + [False] * (len(publications) - len(replied))

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)

    async def _publish_alone(self, publication: Publication) -> bool:
        publisher = await self._connected()
        try:
            (routed,) = await publisher.publish([publication])
        except UnavailableError:
            await self.close()
            return False
        return routed

    async def _connected(self) -> Publisher:
        if self._connection is None or self._connection.is_closed:
            await self.close()
            self._connection = await connect(self._url, self._name)
            self._publisher = Publisher(self._connection)
        return self._publisher
