"""What goes out: persistent, confirmed, in windows."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import aiormq
from pamqp.commands import Basic

from worker.broker.connection import WireChannel, link_errors
from worker.limits import PUBLISH_TIMEOUT_S

PERSISTENT = 2


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to publish. Its properties have a message_id."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Basic.Properties


class Publisher:
    """Publishes on a channel of its own and knows of each message that the broker has it."""

    def __init__(self, channel: WireChannel) -> None:
        self._channel = channel

    async def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Publish all and await their confirms; say of each whether a queue took it.

        Raises LinkLostError where a confirm did not come: then any of them may have been published or not.
        """
        routed: list[bool] = []
        for window in _rounds(publications):
            answers = await asyncio.gather(*(self._publish(each) for each in window), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
                routed.append(answer)
        return routed

    async def _publish(self, publication: Publication) -> bool:
        with link_errors(f"publishing to {publication.exchange or 'a reply queue'}"):
            try:
                await self._channel.basic_publish(
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
