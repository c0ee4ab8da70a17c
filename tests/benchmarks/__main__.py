"""How fast the worker is beside what people would pick instead, and beside the limits.

python -m tests.benchmarks: on private servers, contestants interleaved, rounds that begin with another one each time.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deploy.servers.progress import say
from tests.benchmarks import report
from tests.benchmarks.alone import IN_BATCHES, PGBENCH, Limit, run_alone
from tests.benchmarks.command import carry_out
from tests.benchmarks.contestants import PEERS, RELAY, RELAYS, WORKER, Contestant
from tests.benchmarks.cores import arrangements
from tests.benchmarks.figures import RESULTS, surroundings, write
from tests.benchmarks.latency import Latency, measure
from tests.benchmarks.limits.with_pgbench import program
from tests.benchmarks.payments import Load
from tests.benchmarks.peers.environment import make_environment
from tests.benchmarks.stage import Stage
from tests.benchmarks.standings import wrongs
from tests.benchmarks.trial import Result, run

ALL: tuple[Contestant | Limit, ...] = (WORKER, *PEERS, *RELAYS, PGBENCH, IN_BATCHES)


@dataclass(frozen=True)
class Options:
    """What is to be run. The load is that of the fastest; of it slower peers get their share."""

    messages: int
    rounds: int
    kills: int
    kill_messages: int
    latency_rounds: int
    latency_s: float
    singles: int
    only: tuple[str, ...]
    json: Path


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--messages", type=int, default=30_000, help="published to the fastest in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=3, help="how often each is killed in a trial of its own; 0: none")
    parser.add_argument("--kill-messages", type=int, default=10_000)
    parser.add_argument("--latency-rounds", type=int, default=5, help="in so many of the rounds latency is measured")
    parser.add_argument("--latency-s", type=float, default=10.0)
    parser.add_argument("--singles", type=int, default=100, help="messages one after another on an idle worker")
    parser.add_argument("--only", nargs="*", default=(), choices=[each.name for each in ALL], metavar="NAME")
    parser.add_argument("--json", type=Path, default=RESULTS / "peers.json", help="pictures are written beside it")
    given = vars(parser.parse_args(arguments))
    return Options(**given | {"only": tuple(given["only"])})


def main(options: Options, stage: Stage) -> int:
    """Run, write and show it all, and return the exit status: 1 where any result was wrong."""
    chosen = [each for each in ALL if not options.only or each.name in options.only]
    if PGBENCH in chosen and program() is None:
        say("Without pgbench: it comes with PostgreSQL, and is not on this machine.")
        chosen.remove(PGBENCH)
    if any(each in PEERS for each in chosen):
        make_environment()
    figures = compare(options, stage, chosen)
    write(options.json, figures)
    report.show_comparison(figures)
    report.draw_comparison(figures, options.json.parent)
    return 1 if wrongs(figures) else 0


def compare(options: Options, stage: Stage, chosen: Sequence[Contestant | Limit]) -> dict[str, Any]:
    """Run all that is chosen, and return the figures."""
    warm_up(stage)
    results: list[Result] = []
    latencies: list[Latency] = []
    for number in range(options.rounds):
        first = number % len(chosen)
        for each in (*chosen[first:], *chosen[:first]):
            results.append(attempt(stage, each, options.messages, kills=0))
            say(f"round {number + 1}: {each.name}: {results[-1].per_s:,.0f}/s")
            if each == WORKER and number < options.latency_rounds:
                # At once, since what the machine gives drifts: at half of what it gave just now.
                latencies += delays(options, stage, number, results[-1].per_s / 2)
    killable = [each for each in chosen if isinstance(each, Contestant) and options.kills]
    for each in killable:
        results.append(attempt(stage, each, options.kill_messages, options.kills))
        say(f"killed {options.kills} times: {each.name}: {results[-1].lost} lost, {results[-1].doubled} told again")
    return {
        **asyncio.run(surroundings(stage.servers)),
        "what": {each.name: each.what for each in chosen},
        "limits": [each.name for each in chosen if each in RELAYS or isinstance(each, Limit)],
        "results": [result.row() for result in results],
        "latencies": [latency.row() for latency in latencies],
    }


def delays(options: Options, stage: Stage, number: int, per_s: float) -> Iterator[Latency]:
    """Yield the latency of a round with each arrangement of the cores, in turn another one first."""
    for cores in arrangements(stage.servers)[:: -1 if number % 2 else 1]:
        found = measure(stage, cores, per_s, options.latency_s, options.singles)
        say(f"round {number + 1}: latency, cores {cores}: {found.median_ms} ms, 99 % {found.p99_ms} ms")
        yield found


def attempt(stage: Stage, each: Contestant | Limit, messages: int, kills: int) -> Result:
    """Run one trial of whatever it is."""
    if isinstance(each, Limit):
        return run_alone(stage, each, Load(messages, stage.invoices))
    return run(stage, each, Load(int(messages * each.share), stage.invoices), kills)


def warm_up(stage: Stage, messages: int = 2_000) -> None:
    """Have servers and file system do once what they are measured by."""
    contestants: tuple[Contestant, ...] = (RELAY, WORKER)
    for each in contestants:
        run(stage, each, Load(messages, stage.invoices))


if __name__ == "__main__":
    sys.exit(carry_out(partial(main, parse(sys.argv[1:]))))
