"""What can go wrong at a step, and who decides that it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Protocol

from worker.limits import RETRY_TIERS_S


class Fault(StrEnum):
    KILL_BEFORE = "worker killed before"
    KILL_AFTER = "worker killed after"
    STOP = "worker told to stop"
    DELAY = "much later"

    CUT_BEFORE = "connection lost before"
    CUT_AFTER = "done, answer lost"
    AWAY = "server away"
    NO_ANSWER = "no answer in time"

    DEADLOCK = "40P01"
    SERIALIZATION = "40001"
    LOCK_TIMEOUT = "55P03"
    CANCELLED = "57014"
    SHUTDOWN = "57P01"
    READ_ONLY = "25006"
    DISK_FULL = "53100"

    NACK = "refused by a full queue"
    UNROUTED = "returned"
    LOST = "never stored, never confirmed"
    UNCONFIRMED = "stored, never confirmed"
    CHANNEL_CLOSED = "channel closed"
    CONSUMER_CANCELLED = "consumer cancelled"


OUTAGES_S = (0.5, 5.0, 40.0)
"""How long a server is away."""

ALWAYS = (Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.STOP, Fault.DELAY)
LINK = (*ALWAYS, Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.AWAY)

CONNECT = LINK
STATEMENT = (
    *LINK,
    *(Fault.DEADLOCK, Fault.SERIALIZATION, Fault.LOCK_TIMEOUT, Fault.CANCELLED, Fault.SHUTDOWN, Fault.NO_ANSWER),
)
WRITE = (*STATEMENT, Fault.READ_ONLY, Fault.DISK_FULL)
COMMIT = (
    *LINK,
    Fault.CUT_AFTER,
    Fault.CUT_AFTER,
    Fault.KILL_AFTER,
    Fault.SERIALIZATION,
    Fault.SHUTDOWN,
    Fault.NO_ANSWER,
)
ROLLBACK = (*LINK, Fault.NO_ANSWER)

RPC = (*LINK, Fault.CHANNEL_CLOSED)
PUBLISH = (*LINK, Fault.NACK, Fault.LOST, Fault.UNCONFIRMED, Fault.CHANNEL_CLOSED)
COPY = (*PUBLISH, Fault.UNROUTED, Fault.UNROUTED, Fault.UNROUTED)
"""Publishing a copy for a retry or to the dead letters, which a queue has to take."""
CONFIRM = (*LINK, Fault.UNCONFIRMED)
ACKNOWLEDGE = (*LINK, Fault.CHANNEL_CLOSED)
DELIVER = (*LINK, Fault.CHANNEL_CLOSED, Fault.CONSUMER_CANCELLED)

FAILURES_OF_ONE_MESSAGE = (Fault.LOCK_TIMEOUT, Fault.CANCELLED)
FAILURES_OF_ONE_MESSAGE_MAX = len(RETRY_TIERS_S)
"""One more could all meet one message, which would then be poison by right."""


class Plan(Protocol):
    """Decides which steps go wrong, and how."""

    def fault(self, number: int, name: str, menu: Sequence[Fault], /) -> Fault | None: ...


@dataclass
class RandomPlan:
    """Faults at any step, until so many have happened or so many steps have passed."""

    random: Random
    faults_left: int
    percent: float
    last_step: int = 600
    _failures_left: int = FAILURES_OF_ONE_MESSAGE_MAX

    def fault(self, number: int, _name: str, menu: Sequence[Fault]) -> Fault | None:
        if not menu or not self.faults_left or number > self.last_step or self.random.random() * 100 >= self.percent:
            return None
        fault = self.random.choice(menu)
        if fault in FAILURES_OF_ONE_MESSAGE:
            if not self._failures_left:
                return None
            self._failures_left -= 1
        self.faults_left -= 1
        return fault


@dataclass
class FaultsAt:
    """A fault at the first step of each name."""

    at: dict[str, Fault]

    def fault(self, _number: int, name: str, _menu: Sequence[Fault]) -> Fault | None:
        return self.at.pop(name, None)


@dataclass
class OneFault:
    """A fault at just one step: at the n-th of those that can have it."""

    kind: Fault
    at: int
    has_happened: bool = False
    _passed: int = 0

    def fault(self, _number: int, _name: str, menu: Sequence[Fault]) -> Fault | None:
        if self.kind not in menu:
            return None
        self._passed += 1
        self.has_happened = self.has_happened or self._passed == self.at
        return self.kind if self._passed == self.at else None
