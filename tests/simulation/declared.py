"""The worker's own declarations, carried out on the simulated broker."""

from dataclasses import dataclass
from typing import Any, cast

from aio_pika import ExchangeType
from aio_pika.abc import AbstractConnection

from tests.simulation.queues import Exchanges
from worker.broker.topology import declare


async def declare_topology(exchanges: Exchanges) -> None:
    await declare(cast("AbstractConnection", _Declaring(exchanges)))


@dataclass
class _Exchange:
    name: str
    type: ExchangeType


@dataclass
class _Queue:
    exchanges: Exchanges
    name: str

    async def bind(self, exchange: _Exchange, pattern: str = "") -> None:
        self.exchanges.bind(self.name, exchange.name, "#" if exchange.type is ExchangeType.FANOUT else pattern)


@dataclass
class _Declaring:
    """Connection and channel in one."""

    exchanges: Exchanges
    is_closed: bool = False

    async def channel(self) -> "_Declaring":
        return self

    async def close(self) -> None:
        self.is_closed = True

    async def declare_exchange(self, name: str, of_type: ExchangeType, *, durable: bool) -> _Exchange:
        assert durable
        self.exchanges.declare_exchange(name)
        return _Exchange(name, of_type)

    async def declare_queue(self, name: str, *, durable: bool, arguments: dict[str, Any]) -> _Queue:
        assert durable
        self.exchanges.declare_queue(name, arguments)
        return _Queue(self.exchanges, name)
