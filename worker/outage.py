"""How long to wait before a server that is away is tried again."""

import asyncio
import random

from worker.limits import RECONNECT_DELAY_MAX_S, RECONNECT_DELAY_MIN_S


class Backoff:
    """Delays that double up to a bound, each with jitter so that workers do not all come back in the same moment."""

    def __init__(self) -> None:
        self._delay_s = RECONNECT_DELAY_MIN_S

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self._delay_s = RECONNECT_DELAY_MIN_S

    def next_delay_s(self) -> float:
        """Return the next delay: between a half and the whole of what has been doubled so far."""
        delay_s = self._delay_s
        self._delay_s = min(self._delay_s * 2, RECONNECT_DELAY_MAX_S)
        return delay_s * random.uniform(0.5, 1.0)  # noqa: S311 (jitter is no secret)

    async def wait(self) -> None:
        """Wait for the next delay."""
        await asyncio.sleep(self.next_delay_s())
