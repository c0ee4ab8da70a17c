"""`python -m tests.endurance`: the long run, by hand."""

import logging
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import uvloop

from deploy.servers import Servers
from deploy.servers.progress import say
from tests.endurance.drill import Drill
from tests.endurance.figures import Figures
from tests.endurance.options import Options, parse
from tests.private import carry_out


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    # The driver tells of each connection that the blows cut, with a traceback.
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "coroutine 'Connection.close' was never awaited", RuntimeWarning)

    def run(servers: Servers) -> int:
        figures = endure(options, servers, servers.amqp_url, servers.database_url)
        sys.stdout.write(figures.table() + "\n")
        return 1 if figures.violations_count else 0

    return carry_out(run)


def endure(options: Options, servers: Servers, amqp_url: str, database_url: str) -> Figures:
    """Run on servers that are ours to kill. Logs and ledger are kept where anything was violated."""
    if options.evidence is not None:
        options.evidence.mkdir(parents=True)
    folder = options.evidence or Path(tempfile.mkdtemp(prefix="payment-worker-endurance-"))
    figures: Figures | None = None
    try:
        drill = Drill(options, servers, amqp_url, database_url, folder)
        figures = uvloop.run(drill.run())
    finally:
        if options.keep or figures is None or figures.violations_count:
            keep_logs(servers, folder)
            say(f"Logs of the workers and servers, and the ledger's memory: {folder}")
        else:
            shutil.rmtree(folder)
    if figures.violations_count or options.keep:
        figures.evidence = str(folder)
    if options.json is not None:
        figures.write(options.json)
    return figures


def keep_logs(servers: Servers, folder: Path) -> None:
    for server in (servers.broker, servers.database):
        log = getattr(server, "log", None)
        if isinstance(log, Path):
            shutil.copyfile(log, folder / f"{log.parent.name}.log")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
