"""An event loop whose time is virtual: where nothing is left to do but to wait, it is later at once."""

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable
from contextvars import Context
from typing import Any

STALL_S = 0.002
"""Real time without an answer from Postgres, after which it is asked whether a lock is waited for."""

Events = list[tuple[selectors.SelectorKey, int]]


class NothingHappens(Exception):
    """Everybody waits, and no timer runs."""


class Loop(asyncio.SelectorEventLoop):
    """Runs what is ready, then awaits real answers, then lets `on_idle` do one thing, then lets time pass.

    Real answers are those of Postgres; `io_in_flight` counts the ones that are awaited. Time stands still meanwhile.
    """

    def __init__(self) -> None:
        super().__init__(_Selector(self))
        self._time_s = 0.0
        self._order = itertools.count()
        self._scheduled: list[asyncio.TimerHandle]
        self.io_in_flight = 0
        self.on_idle: Callable[[bool], bool] = lambda _: False
        """Told whether time could pass instead; says whether it did something."""
        self.on_stall: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self._time_s

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As any loop does, but timers that are due in the same moment keep their order."""
        timer = _Timer(when, callback, args, self, context)
        timer.order = next(self._order)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001 (as BaseEventLoop does)
        return timer

    def start_anew(self) -> None:
        """Forget all timers and begin at 0: a run's times must not depend on the runs before it."""
        for timer in self._scheduled:
            timer.cancel()
        self._scheduled.clear()
        self._timer_cancelled_count = 0
        self._time_s = 0.0

    def pass_time(self, seconds: float) -> None:
        self._time_s += seconds


class _Timer(asyncio.TimerHandle):
    order: int

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, _Timer)
        return (self.when(), self.order) < (other.when(), other.order)


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Events:
        loop = self._loop
        if timeout is not None and timeout <= 0:
            return []  # there is something to run first; what has come from Postgres can wait
        if loop.io_in_flight:
            events = super().select(STALL_S)
            if not events:
                loop.on_stall()
            return events
        if not loop.on_idle(timeout is not None):
            if timeout is None:
                raise NothingHappens
            loop.pass_time(timeout)
        return []
