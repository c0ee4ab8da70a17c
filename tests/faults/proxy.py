"""A TCP proxy between a worker and a server, that does to connections what networks do."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes on, until it is told otherwise. `url` is the server's URL by way of the proxy."""

    def __init__(self, url: str) -> None:
        self._server_url = urlsplit(url)
        self._pairs: set[_Pair] = set()
        self._moves = asyncio.Event()
        self._moves.set()
        self._answers = asyncio.Event()
        self._answers.set()
        self.holds = asyncio.Event()
        """Set when something that the server said is held."""
        self._cut_at: bytes | None = None
        self.on_answer: Callable[[bytes], None] = lambda _: None
        """Is told what a server says, before it is handed on."""
        self._cuts = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        login = self._server_url.netloc.rpartition("@")[0]
        self.url = urlunsplit(self._server_url._replace(netloc=f"{login}@127.0.0.1:{port}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        self.heal()
        await asyncio.gather(*(pair.ended.wait() for pair in set(self._pairs)))

    def cut(self) -> None:
        """End all connections with a reset on both sides. New ones pass."""
        for pair in self._pairs:
            pair.reset()

    def stall(self) -> None:
        """Move no byte any more, in either direction. New connections are accepted, and not a byte moves on them."""
        self._moves.clear()

    def hold_answers(self) -> None:
        """Hand on no more of what the server says, and still pass on what it is told."""
        self.holds.clear()
        self._answers.clear()

    def hand_on(self) -> None:
        """Hand on what is held, and nothing that comes after it."""
        self._answers.set()
        self._answers.clear()

    def heal(self) -> None:
        """Pass all on again, what has been held too."""
        self._moves.set()
        self._answers.set()

    def lose_server(self) -> None:
        """Leave all connections half open: the server's side is gone, and nobody tells the worker."""
        for pair in self._pairs:
            pair.lose_server()

    def cut_at(self, said: bytes, times: int) -> None:
        """Reset a connection, so many times, in place of handing on an answer of the server that holds the bytes."""
        self._cut_at, self._cuts = said, times

    @property
    def cuts_left(self) -> int:
        return self._cuts

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(writer)
        self._pairs.add(pair)
        try:
            await self._moves.wait()
            answers, server = await asyncio.open_connection(self._server_url.hostname, self._server_url.port)
            pair.server = server
            await asyncio.gather(self._pump(reader, server, pair), self._pump(answers, writer, pair, is_answer=True))
        except OSError:
            pass
        finally:
            pair.reset()
            self._pairs.discard(pair)
            pair.ended.set()

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, pair: "_Pair", *, is_answer: bool = False
    ) -> None:
        while data := await source.read(CHUNK_BYTES):
            await self._moves.wait()
            if is_answer:
                if not self._answers.is_set():
                    self.holds.set()
                await self._answers.wait()
                self.on_answer(data)
            if is_answer and self._cuts and self._cut_at is not None and self._cut_at in data:
                self._cuts -= 1
                break
            if not pair.is_half_open:
                target.write(data)
                await target.drain()
        if not pair.is_half_open:
            pair.reset()


class _Pair:
    """A worker's connection to the proxy, and the proxy's to the server."""

    def __init__(self, worker: asyncio.StreamWriter) -> None:
        self.ended = asyncio.Event()
        self.is_half_open = False
        self.server: asyncio.StreamWriter | None = None
        self._worker = worker

    def reset(self) -> None:
        self.is_half_open = False
        _reset(self._worker)
        if self.server is not None:
            _reset(self.server)

    def lose_server(self) -> None:
        if self.server is not None:
            self.is_half_open = True
            _reset(self.server)


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
