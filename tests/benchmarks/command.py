"""What the commands have in common: private servers, and an end in good order, whatever ends them."""

import os
import signal
from collections.abc import Callable

from deploy.servers import Unavailable, provide
from deploy.servers.progress import say
from deploy.servers.ways import FORCED
from tests.benchmarks.peers.environment import PeersUnavailableError
from tests.benchmarks.stage import Stage, open_stage
from tests.benchmarks.trial import TrialError

KILLED = 128


def carry_out(work: Callable[[Stage], int]) -> int:
    """Do the work on servers that nobody else uses, and return the exit status."""
    # Also where it was started in the background, with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with provide({FORCED: os.environ.get(FORCED, "")}) as servers, open_stage(servers) as stage:
            return work(stage)
    except (Unavailable, PeersUnavailableError, TrialError) as error:
        say(f"{type(error).__name__}: {error}")
        return 1
    except KeyboardInterrupt:
        say("Ended before its time.")
        return KILLED + signal.SIGINT
