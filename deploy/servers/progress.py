"""Progress of long steps, on stderr: what is being done and how many seconds it took."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

TICK_S = 1.0
QUIET_TICK_S = 15.0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what ... 4.2 s` after the block. Meanwhile a terminal counts along, and a log gets a line now and then."""
    began = time.monotonic()
    done = threading.Event()
    terminal = sys.stderr.isatty()

    def count() -> None:
        while not done.wait(TICK_S if terminal else QUIET_TICK_S):
            elapsed = f"{what} ... {time.monotonic() - began:.0f} s"
            print(f"\r{elapsed}" if terminal else elapsed, end="" if terminal else "\n", file=sys.stderr, flush=True)

    counting = threading.Thread(target=count, daemon=True)
    counting.start()
    outcome = "failed after"
    try:
        yield
        outcome = "..."
    finally:
        done.set()
        counting.join()
        line_start = "\r" if terminal else ""
        say(f"{line_start}{what} {outcome} {time.monotonic() - began:.1f} s")
