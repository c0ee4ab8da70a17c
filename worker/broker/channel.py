"""A channel: deliveries as they come, acknowledgements at once, and publishes that are confirmed together."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import aiormq
from aio_pika.abc import AbstractConnection

from worker.broker import frames
from worker.broker.connection import link_errors
from worker.broker.delivery import Delivery
from worker.broker.link import BODY, HEADER, METHOD, Link
from worker.broker.properties import believed
from worker.broker.publication import Publication, Waiting
from worker.domain.errors import LinkLostError, UnavailableError, UnconfirmedError
from worker.limits import CONNECT_TIMEOUT_S, FRAME_BYTES_MAX, PUBLISH_TIMEOUT_S

OnDelivery = Callable[[Delivery], None]


class Channel:
    """A channel with publisher confirms. One that has ended is not used again: its delivery tags are void."""

    def __init__(self, link: Link, driver: aiormq.Channel) -> None:
        self._wire = link.wire
        self._driver = driver
        self._number = driver.number
        self._frame_max = driver.connection.connection_tune.frame_max or FRAME_BYTES_MAX
        self._on_delivery: OnDelivery | None = None
        self._on_lost: Callable[[str], None] = lambda _: None
        self._published_tag = 0
        self._publishing = 0
        self._unconfirmed: dict[int, Waiting] = {}
        self._content: frames.Content | None = None
        self._lost: str | None = None
        self._wire.attach(self._number, self._sink)
        driver.closing.add_done_callback(lambda closing: self._lose(_reason(closing)))
        driver.on_consumer_cancel_callbacks.add(lambda _: self._lose("the broker cancelled the consumer"))

    @property
    def is_publishing(self) -> bool:
        """True while somebody waits for answers to what was published on it."""
        return self._publishing > 0

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """Have the callback told once why the channel has ended."""
        self._on_lost = callback
        if self._lost is not None:
            callback(self._lost)

    async def consume(self, queue: str, prefetch_messages: int, on_delivery: OnDelivery) -> str:
        """Have the queue's messages delivered and return the consumer's tag. Raises LinkLostError."""
        self._on_delivery = on_delivery
        with link_errors(f"setting the prefetch for {queue}"):
            await self._driver.basic_qos(prefetch_count=prefetch_messages, timeout=CONNECT_TIMEOUT_S)
        with link_errors(f"consuming {queue} (see `payment-worker setup`)"):
            # Deliveries do not go the driver's way.
            consumed = await self._driver.basic_consume(queue, never, timeout=CONNECT_TIMEOUT_S)
        return cast("str", consumed.consumer_tag)

    async def cancel(self, consumer_tag: str) -> None:
        """Have no more delivered. Raises LinkLostError."""
        with link_errors("cancelling a consumer"):
            await self._driver.basic_cancel(consumer_tag, timeout=CONNECT_TIMEOUT_S)

    def acknowledge(self, tag: int) -> None:
        """Acknowledge the delivery and all before it. Raises LinkLostError."""
        self._write(frames.acknowledged(self._number, tag), "acknowledging")

    def reject(self, tag: int) -> None:
        """Have the broker dead-letter the delivery. Raises LinkLostError."""
        self._write(frames.rejected(self._number, tag), "rejecting")

    async def publish(self, publications: Sequence[Publication]) -> list[bool | UnavailableError]:
        """Publish, mandatory, and return once all are answered: of each, whether a queue took it.

        UnavailableError stands for one that the broker refused, UnconfirmedError for one that it did not confirm in
        time: it may have been published or not. Raises LinkLostError where the channel ended; then that holds for all.
        """
        if not publications:
            return []
        waiting = Waiting(publications, self._published_tag + 1, asyncio.get_running_loop().create_future())
        self._write(b"".join(map(self._encoded, publications)), f"publishing to {waiting.target}")
        for _ in publications:
            self._published_tag += 1
            self._unconfirmed[self._published_tag] = waiting
        self._publishing += 1
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                with link_errors(f"publishing to {waiting.target}"):
                    await self._wire.drain()
                await waiting.done
        except TimeoutError:
            text = f"RabbitMQ did not confirm a message to {waiting.target} within {PUBLISH_TIMEOUT_S:g} s"
            waiting.refuse_rest(UnconfirmedError(text))
        finally:
            self._publishing -= 1
        return waiting.answers

    async def close(self) -> None:
        """Close the channel; what it had delivered and not acknowledged comes again."""
        self._wire.detach(self._number, self._sink)
        with link_errors("closing a channel"):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._driver.close()

    def _encoded(self, publication: Publication) -> bytes:
        exchange, routing_key = publication.exchange, publication.routing_key
        properties = publication.properties.marshal()
        return frames.published(self._number, exchange, routing_key, properties, publication.body, self._frame_max)

    def _write(self, encoded: bytes, doing: str) -> None:
        if self._lost is not None:
            raise LinkLostError(f"{doing}: {self._lost}")
        with link_errors(doing):
            self._wire.write(encoded)

    def _lose(self, why: str) -> None:
        if self._lost is not None:
            return
        self._lost = why
        self._wire.detach(self._number, self._sink)
        waiting = set(self._unconfirmed.values())
        self._unconfirmed.clear()
        for each in waiting:
            each.fail(LinkLostError(f"publishing to {each.target}: {why}"))
        self._on_lost(why)

    def _sink(self, kind: int, payload: bytes) -> bool:
        """Take the frames of deliveries, returns and confirms."""
        if kind == METHOD:
            match frames.method_of(payload):
                case frames.DELIVER:
                    self._content = frames.Content(frames.read_deliver(payload))
                case frames.RETURN:
                    self._content = frames.Content(frames.read_return(payload))
                case frames.ACK:
                    self._confirm(frames.read_answer(payload))
                case frames.NACK:
                    self._confirm(frames.read_answer(payload), is_refusal=True)
                case _:
                    return False
            return True
        content = self._content
        if content is None:
            return False
        if kind == HEADER:
            content.begin(payload)
        elif kind == BODY:
            content.add(payload)
        if content.is_whole:
            self._content = None
            self._received(content)
        return True

    def _received(self, content: frames.Content) -> None:
        properties = frames.read_properties(content.header)
        if isinstance(content.method, frames.Return):
            self._return(content.method, properties.message_id or None)
        elif self._on_delivery is not None:
            tag, exchange, routing_key, is_redelivered = content.method
            properties = believed(properties, exchange)
            self._on_delivery(Delivery(tag, routing_key, content.body, properties, is_redelivered))

    def _return(self, address: frames.Return, message_id: str | None) -> None:
        """Note that no queue took the message; its confirm is still to come."""
        for tag, waiting in self._unconfirmed.items():
            if waiting.give_back(tag, address, message_id):
                return

    def _confirm(self, answer: frames.Answer, *, is_refusal: bool = False) -> None:
        tags = [answer.tag]
        if answer.is_multiple:
            tags = [tag for tag in self._unconfirmed if tag <= answer.tag]
        for tag in tags:
            waiting = self._unconfirmed.pop(tag, None)
            if waiting is None:
                continue
            if is_refusal:
                text = f"RabbitMQ refused a message to {waiting.target}: a queue there takes no more"
                waiting.refuse(tag, UnavailableError(text))
            waiting.confirm(tag)


async def open_channel(connection: AbstractConnection) -> Channel:
    """Return a channel on the connection. Raises LinkLostError."""
    link = cast("Link", connection)
    with link_errors("opening a channel"):
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            try:
                channel = await link.channel(publisher_confirms=True)
            except RuntimeError as error:
                # So says the driver, and quotes the connection's URL.
                raise LinkLostError("opening a channel: the connection has ended") from error
            return Channel(link, cast("aiormq.Channel", await channel.get_underlay_channel()))


def _reason(closing: "asyncio.Future[object]") -> str:
    error = None if closing.cancelled() else closing.exception()
    said = " ".join(str(error).split()) if error is not None else ""
    return f"the channel was closed: {said}" if said else "the channel was closed"


async def never(_: object) -> None:
    """Stand in for a consumer of the driver's that gets nothing."""
