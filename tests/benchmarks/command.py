"""What the benchmark's commands have in common: private servers with a stage on them."""

from collections.abc import Callable

from deploy.servers import Servers
from deploy.servers.progress import say
from tests import private
from tests.benchmarks.peers.environment import PeersUnavailableError
from tests.benchmarks.stage import Stage, open_stage
from tests.benchmarks.trial import TrialError


def carry_out(work: Callable[[Stage], int]) -> int:
    """Do the work on servers that nobody else uses, and return the exit status."""

    def on_stage(servers: Servers) -> int:
        try:
            with open_stage(servers) as stage:
                return work(stage)
        except (PeersUnavailableError, TrialError) as error:
            say(f"{type(error).__name__}: {error}")
            return 1

    return private.carry_out(on_stage)
