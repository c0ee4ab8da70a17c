"""What ops does about dead letters: the command's own code, in a simulated process."""

from tests.simulation.process import Process, SimulatedSession, simulated_publisher
from worker.books.dead_letters import Deed
from worker.cli.replay import Replayed, replay_letters
from worker.domain.errors import WorkerError

OPEN_LETTERS = "SELECT id FROM dead_letters WHERE routing_key LIKE $1 AND state = 'open' ORDER BY id"


async def replay_letters_of(ops: Process, run: str) -> bool:
    """Replay the open letters of the run's companies; say whether that came to its end."""
    ids = [row["id"] for row in await ops.postgres.ask(OPEN_LETTERS, f"%.{run}-%")]
    try:
        async with SimulatedSession("", "ops") as session:
            publisher = await simulated_publisher()
            deed = Deed("replayed", "ops", "simulated")
            await replay_letters(session, publisher, ids, {"open"}, deed, Replayed(), lambda *_: None)
    except WorkerError:
        return False
    return True
