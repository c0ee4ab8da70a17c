"""A command on servers that nobody else uses, and an end in good order, whatever ends it."""

import os
import signal
from collections.abc import Callable

from deploy.servers import Servers, Unavailable, provide
from deploy.servers.progress import say
from deploy.servers.ways import FORCED

KILLED = 128


def end_as_on_ctrl_c() -> None:
    """Let SIGTERM end this process as Ctrl-C does; also where it was started in the background, with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def carry_out(work: Callable[[Servers], int]) -> int:
    """Do the work on private servers and return the exit status."""
    end_as_on_ctrl_c()
    try:
        with provide({FORCED: os.environ.get(FORCED, "")}) as servers:
            return work(servers)
    except Unavailable as error:
        say(f"No servers: {error}.")
        return 1
    except KeyboardInterrupt:
        say("Ended before its time.")
        return KILLED + signal.SIGINT
