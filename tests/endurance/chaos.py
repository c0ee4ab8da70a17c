"""What goes wrong: workers are killed, and servers stopped or killed and started, as the answers go on."""

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from deploy.servers import Servers
from tests.endurance.fleet import Fleet
from tests.endurance.ledger import Ledger

Blow = Literal["worker killed", "PostgreSQL stopped", "PostgreSQL killed", "RabbitMQ stopped", "RabbitMQ killed"]
WITHIN_S = 0.05
"""A blow falls within so long after its share of the answers has come, so that it does not keep time with them."""
AWAY_S = 1.0
"""A server is away for up to so long, beside the time that it takes to stop and start."""


@dataclass
class Recovery:
    """How long after a blow it took to the next first answer, and to the oldest that was owed when it fell."""

    blow: Blow
    next_s: float
    oldest_s: float


@dataclass
class Plan:
    """Which blow falls after how many answers."""

    blows: list[tuple[int, Blow]] = field(default_factory=list)

    @classmethod
    def drawn(cls, seed: int, answers: int, kills: int, restarts: int, *, kills_broker: bool) -> "Plan":
        draw = Random(f"{seed} blows")  # noqa: S311 (it has to come out the same again)
        ways: list[Blow] = ["PostgreSQL killed", "RabbitMQ stopped", "PostgreSQL stopped", "RabbitMQ stopped"]
        if kills_broker:
            ways[3] = "RabbitMQ killed"
        moments = [
            (answers * (place + 1) // (restarts + 1), way) for place, way in zip(range(restarts), itertools.cycle(ways))
        ]
        first, last = answers // 50, answers - answers // 20
        moments += [(draw.randint(first, last), "worker killed") for _ in range(kills)]
        return cls(sorted(moments))


class Chaos:
    def __init__(self, plan: Plan, servers: Servers, fleet: Fleet, ledger: Ledger, seed: int) -> None:
        self._plan = plan
        self._servers = servers
        self._fleet = fleet
        self._ledger = ledger
        self._draw = Random(f"{seed} chaos")  # noqa: S311 (it has to come out much the same again)
        self._watches: set[asyncio.Task[None]] = set()
        self.struck: Counter[Blow] = Counter()
        self.recoveries: list[Recovery] = []
        self.under_way: Blow | None = None

    async def run(self) -> None:
        """Deal the blows one after the other; a server that is away for one may be joined by a killed worker."""
        blows = list(self._plan.blows)
        while blows:
            after, blow = blows.pop(0)
            while self._ledger.answered < after:
                await self._ledger.more_answers()
            await asyncio.sleep(self._draw.random() * WITHIN_S)
            self.under_way = blow
            owed = self._ledger.has_answer.find(0)
            if blow == "worker killed":
                await self._fleet.kill_one(self._draw)
            else:
                await self._restart(blow, kills_worker=self._takes_along(blows))
            self.struck[blow] += 1
            self.under_way = None
            self._watch(blow, owed)
        if self._watches:
            await asyncio.wait(self._watches)

    def _takes_along(self, blows: list[tuple[int, Blow]]) -> bool:
        """Say whether a worker is killed while the server is away: every other time, if one is still to be killed."""
        place = next((place for place, (_, blow) in enumerate(blows) if blow == "worker killed"), None)
        if place is None or self._draw.random() < 0.5:
            return False
        blows.pop(place)
        return True

    async def _restart(self, blow: Blow, *, kills_worker: bool) -> None:
        which, how = blow.split()
        server = self._servers.database if which == "PostgreSQL" else self._servers.broker
        await asyncio.to_thread(server.kill if how == "killed" else server.stop)
        if kills_worker:
            await self._fleet.kill_one(self._draw)
            self.struck["worker killed"] += 1
        await asyncio.sleep(self._draw.random() * AWAY_S)
        await asyncio.to_thread(server.start)

    def _watch(self, blow: Blow, owed: int) -> None:
        """Take the time from now, when a killed worker is replaced or a restarted server answers again."""
        task = asyncio.create_task(self._recover(blow, owed))
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

    async def _recover(self, blow: Blow, owed: int) -> None:
        began, answered = time.monotonic(), self._ledger.answered
        if answered >= self._ledger.owed:
            return
        while self._ledger.answered == answered:
            await self._ledger.more_answers()
        next_s = time.monotonic() - began
        while not self._ledger.has_answer[owed]:
            await self._ledger.more_answers()
        self.recoveries.append(Recovery(blow, next_s, time.monotonic() - began))
