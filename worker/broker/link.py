"""The connection to RabbitMQ, with a short way for what there is much of: deliveries, confirms, and what is published.

The driver opens, tunes and closes connection and channels, and does whatever is done once. But it takes several tasks
and queues for each message, which costs ten times what the message's bytes do; so frames that a channel has asked for
are handed to it as they come, and its own are written straight to the socket. All others go the driver's way.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Final

import aio_pika
from aiormq.connection import TransportFactory
from yarl import URL

from worker.limits import SIGN_OF_LIFE_S

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME: Final = struct.Struct(">BHI")
"""What a frame begins with: its kind, its channel and the length of its payload in bytes."""
FRAME_END: Final = b"\xce"
_BLOCKED, _UNBLOCKED = (struct.pack(">HH", 10, method) for method in (60, 61))
"""Class and method of Connection, as the first four bytes of a method frame's payload."""
_OVERHEAD_BYTES = FRAME.size + len(FRAME_END)
_SIGN_OF_LIFE: Final = FRAME.pack(HEARTBEAT, 0, 0) + FRAME_END

Sink = Callable[[int, bytes], bool]
"""Takes a frame's kind and payload; False where the frame is the driver's."""


class Link(aio_pika.Connection):
    """A connection whose channels may take frames past the driver."""

    def __init__(self, url: URL, **kwargs: Any) -> None:
        super().__init__(url, **kwargs)
        self.wire = Wire()
        self.kwargs["transport_factory"] = self.wire

    @property
    def is_closed(self) -> bool:
        """True once it has ended, whoever ended it; aio-pika's own knows of its close() alone."""
        return super().is_closed or (self.transport is not None and self.transport.connection.is_closed)

    @property
    def is_blocked(self) -> bool:
        """True while the broker, short of memory or disk, reads nothing more of what is published here."""
        return self.wire.is_blocked and not self.is_closed


class Wire(TransportFactory):
    """The socket that driver and channels share. Each writes whole frames, so that theirs never mix."""

    def __init__(self) -> None:
        self._tap: Tap | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.is_blocked = False

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, as the driver asks for it."""
        certificates = kwargs.pop("ssl_context_provider")
        context = await certificates.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        tap = Tap(reader, loop)
        transport, _ = await loop.create_connection(lambda: tap, url.host or "", url.port or 0, ssl=context, **kwargs)
        self._tap = tap
        self._writer = asyncio.StreamWriter(transport, tap, reader, loop)
        tap.sinks[0] = self._note_blocked
        return reader, self._writer

    def attach(self, channel: int, sink: Sink) -> None:
        """Hand the channel's frames to the sink first."""
        if self._tap is not None:
            self._tap.sinks[channel] = sink

    def detach(self, channel: int, sink: Sink) -> None:
        """Leave the channel's frames to the driver again, unless another sink has its number by now."""
        if self._tap is not None and self._tap.sinks.get(channel) == sink:
            del self._tap.sinks[channel]

    def write(self, frames: bytes) -> None:
        """Send whole frames. Raises ConnectionResetError where the connection has ended."""
        if self._writer is None or self._writer.is_closing():
            raise ConnectionResetError("the connection has ended")
        self._writer.write(frames)

    async def drain(self) -> None:
        """Wait until the socket has taken most of what was written. Raises OSError where the connection has ended."""
        if self._writer is not None:
            await self._writer.drain()

    def _note_blocked(self, kind: int, payload: bytes) -> bool:
        """Look on while the broker tells the driver whether it reads what is published."""
        if kind == METHOD and payload[:4] in (_BLOCKED, _UNBLOCKED):
            self.is_blocked = payload[:4] == _BLOCKED
        return False


class Tap(asyncio.StreamReaderProtocol):
    """Cuts what comes into frames, and gives each to its channel's sink or to the driver."""

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self.sinks: dict[int, Sink] = {}
        self._for_driver = reader
        self._clock = loop.time
        self._shown_alive = 0.0
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Take what has come from the socket: frames, the last of which may be cut."""
        if self._rest:
            data = self._rest + data
        for_driver: list[bytes] = []
        position, end = 0, len(data)
        while end - position >= _OVERHEAD_BYTES:
            kind, channel, length = FRAME.unpack_from(data, position)
            if kind not in (METHOD, HEADER, BODY, HEARTBEAT):
                for_driver.append(data[position:])  # no frame: the broker speaks of another protocol
                position = end
                break
            after = position + length + _OVERHEAD_BYTES
            if after > end:
                break
            sink = self.sinks.get(channel)
            if sink is None or not sink(kind, data[position + FRAME.size : after - len(FRAME_END)]):
                for_driver.append(data[position:after])
            position = after
        self._rest = data[position:]
        if for_driver:
            self._for_driver.feed_data(b"".join(for_driver))
        elif self._clock() - self._shown_alive > SIGN_OF_LIFE_S:
            # The driver ends a connection on which it sees nothing, and a busy broker sends no heartbeats.
            self._shown_alive = self._clock()
            self._for_driver.feed_data(_SIGN_OF_LIFE)
