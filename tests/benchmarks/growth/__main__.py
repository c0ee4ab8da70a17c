"""Whether the worker's cost grows with its history.

python -m tests.benchmarks.growth [STEP]...: on private servers; without names all steps but the long one.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from deploy.servers.progress import say
from tests.benchmarks import report
from tests.benchmarks.command import carry_out
from tests.benchmarks.contestants import WORKER
from tests.benchmarks.figures import RESULTS, read, surroundings, write
from tests.benchmarks.growth.filled import PAYMENTS_AN_INVOICE, open_filled
from tests.benchmarks.growth.long_runs import backlog, steady
from tests.benchmarks.growth.pairs import compare, in_turns, pairs
from tests.benchmarks.growth.report import draw, wrongs
from tests.benchmarks.payments import Load
from tests.benchmarks.stage import Stage
from tests.benchmarks.trial import run

SHARES = (0.2, 0.5, 1.0)
"""Of the payments that the books are filled with: where it is measured on the way."""
LONG = "long"
Step = Callable[[Stage], dict[str, Any]]


def books(stage: Stage, payments: int, messages: int, rounds: int) -> dict[str, Any]:
    """Measure on books as they grow, and on empty ones in turns with them."""
    sizes: list[dict[str, Any]] = []
    with open_filled(stage.servers) as filled:
        for share in SHARES:
            filled.grow(int(payments * share) // PAYMENTS_AN_INVOICE)
            found = in_turns(
                f"{filled.payments:,} payments, beside empty books",
                lambda number: run(
                    stage,
                    WORKER,
                    Load(messages, filled.invoices, mark=f"-{filled.invoices}-{number}"),
                    database_url=filled.url,
                ),
                lambda _: run(stage, WORKER, Load(messages, stage.invoices)),
                rounds if share == SHARES[-1] else 1,
            )
            sizes.append({"payments": filled.payments, "invoices": filled.invoices, **found})
    return {"goal": 0.85, "sizes": sizes}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    names = ("books", *pairs(1), "backlog", LONG)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"any of {', '.join(names)}")
    parser.add_argument("--payments", type=int, default=5_000_000, help="in the filled books; a fifth as many invoices")
    parser.add_argument("--messages", type=int, default=20_000, help="in each trial")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backlog", type=int, default=1_000_000, help="messages in the backlog")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the long run")
    parser.add_argument("--per-s", type=int, default=1_000, help="published in the long run")
    parser.add_argument("--sample-s", type=float, default=5.0, help="between two samples")
    parser.add_argument("--json", type=Path, default=RESULTS / "growth.json", help="steps not run stay as they are")
    given = parser.parse_args(arguments)
    given.steps = given.steps or [name for name in names if name != LONG]
    if unknown := set(given.steps) - set(names):
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    return given


def steps(given: argparse.Namespace) -> dict[str, Step]:
    compared = {name: partial(compare, pair=pair, rounds=given.rounds) for name, pair in pairs(given.messages).items()}
    return {
        "books": partial(books, payments=given.payments, messages=given.messages, rounds=given.rounds),
        **compared,
        "backlog": partial(backlog, messages=given.backlog, sample_s=given.sample_s),
        LONG: partial(steady, minutes=given.minutes, per_s=given.per_s, sample_s=given.sample_s),
    }


def main(given: argparse.Namespace, stage: Stage) -> int:
    """Run the steps, write and show it all, and return the exit status: 1 where any result was wrong."""
    figures: dict[str, Any] = read(given.json) if given.json.exists() else {}
    run(stage, WORKER, Load(2_000, stage.invoices))  # warms the servers
    for name in given.steps:
        say(f"== {name}")
        figures[name] = steps(given)[name](stage) | asyncio.run(surroundings(stage.servers))
        write(given.json, figures)
    report.show_growth(figures)
    draw(figures, given.json.parent)
    return 1 if wrongs(figures) else 0


if __name__ == "__main__":
    sys.exit(carry_out(partial(main, parse(sys.argv[1:]))))
