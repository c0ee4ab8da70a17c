"""What a run is asked to be."""

import argparse
from dataclasses import dataclass
from pathlib import Path

PAYMENTS = 20_000
KILLS = 30
RESTARTS = 6


@dataclass(frozen=True, kw_only=True)
class Options:
    payments: int = PAYMENTS
    kills: int = KILLS
    restarts: int = RESTARTS
    seed: int = 1
    workers: int = 2
    ahead: int = 10_000
    patience_s: float = 420.0
    kills_broker: bool = False
    json: Path | None = None
    evidence: Path | None = None
    keep: bool = False

    @property
    def command(self) -> str:
        """Return the command that does the same again."""
        numbers = ("payments", "kills", "restarts", "seed", "workers", "ahead")
        said = [f"--{name} {getattr(self, name)}" for name in numbers]
        return " ".join(["python -m tests.endurance", *said, *["--kill-broker"] * self.kills_broker])


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m tests.endurance",
        description="Payments with duplicates and conflicts while workers are killed and servers restarted; in the end "
        "what was published is counted against what the outcome exchange and the books say. Exit 0 only if all is so.",
    )
    parser.add_argument("--payments", type=int, default=PAYMENTS, help="idempotency keys (%(default)s)")
    parser.add_argument("--kills", type=int, default=KILLS, help="workers killed with SIGKILL (%(default)s)")
    parser.add_argument("--restarts", type=int, default=RESTARTS, help="of both servers together (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what payments and blows are drawn from (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="at any time (%(default)s)")
    parser.add_argument("--ahead", type=int, default=10_000, help="steps published before their answers (%(default)s)")
    parser.add_argument(
        "--patience",
        dest="patience_s",
        type=float,
        default=420.0,
        metavar="SECONDS",
        help="without any new answer before the run gives up; the slowest retry takes 335 (%(default)s)",
    )
    parser.add_argument(
        "--kill-broker",
        dest="kills_broker",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="kill RabbitMQ too, instead of stopping it only",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--evidence", type=Path, metavar="FOLDER", help="new folder for logs and the ledger's memory")
    parser.add_argument("--keep", action="store_true", help="keep that folder, whatever comes out")
    return Options(**vars(parser.parse_args(arguments)))
