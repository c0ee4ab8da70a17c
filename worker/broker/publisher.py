"""What goes out: persistent, confirmed, in windows."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import aiormq
from aio_pika.abc import AbstractConnection
from pamqp.commands import Basic

from worker.broker.connection import WireChannel, link_errors, open_channel
from worker.domain.errors import LinkLostError, UnavailableError
from worker.limits import CONNECT_TIMEOUT_S, PUBLISH_TIMEOUT_S

PERSISTENT = 2


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to publish. The driver gives it a message_id of its own where it has none."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Basic.Properties


class Publisher:
    """Publishes on a channel of its own and knows of each message that the broker has it."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._channel: WireChannel | None = None

    async def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Publish all and await their confirms; say of each whether a queue took it.

        Raises LinkLostError where the connection ended, and UnavailableError where the broker refused a message or a
        confirm did not come in time. In each case any of them may have been published or not.
        """
        routed: list[bool] = []
        for window in _rounds(publications):
            channel = self._channel = self._channel or await open_channel(self._connection)
            answers = await asyncio.gather(*(_publish(channel, each) for each in window), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    await self._drop(channel)
                    raise answer
                routed.append(answer)
        return routed

    async def _drop(self, channel: WireChannel) -> None:
        """Give up a channel on which confirms are missing."""
        self._channel = None
        with contextlib.suppress(LinkLostError), link_errors("closing a channel"):
            await channel.close(timeout=CONNECT_TIMEOUT_S)


async def _publish(channel: WireChannel, publication: Publication) -> bool:
    target = publication.exchange or "a reply queue"
    with link_errors(f"publishing to {target}"):
        try:
            await channel.basic_publish(
                publication.body,
                exchange=publication.exchange,
                routing_key=publication.routing_key,
                properties=publication.properties,
                mandatory=True,
                timeout=PUBLISH_TIMEOUT_S,
                wait=False,
            )
        except aiormq.exceptions.PublishError:
            return False
        except aiormq.exceptions.DeliveryError as error:
            raise UnavailableError(f"RabbitMQ refused a message to {target}: a queue there takes no more") from error
        except TimeoutError as error:
            text = f"RabbitMQ did not confirm a message to {target} within {PUBLISH_TIMEOUT_S:g} s"
            raise UnavailableError(text) from error
    return True


def _rounds(publications: Sequence[Publication]) -> list[list[Publication]]:
    """Cut the publications so that no message_id stands twice in a round: the driver tells returns apart by it."""
    rounds: list[list[Publication]] = [[]]
    seen: set[str | None] = set()
    for publication in publications:
        if publication.properties.message_id in seen:
            rounds.append([])
            seen = set()
        seen.add(publication.properties.message_id)
        rounds[-1].append(publication)
    return rounds
