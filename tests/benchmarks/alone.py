"""The limits that know no broker: run to their end on a database, and asked what they came to."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass

from tests.benchmarks.accounting import cpu_us_each
from tests.benchmarks.books import complaints, totals
from tests.benchmarks.contestants import Books
from tests.benchmarks.crew import environment
from tests.benchmarks.payments import Load
from tests.benchmarks.stage import Stage
from tests.benchmarks.trial import Result, TrialError


@dataclass(frozen=True)
class Limit:
    """A program that books payments without being sent them."""

    name: str
    what: str
    module: str
    books: Books


PGBENCH = Limit("pgbench", "16 clients, the peers' statements; no broker", "with_pgbench", "peer")
IN_BATCHES = Limit("database in batches", "the worker's transactions; no broker", "in_batches", "worker")


def run_alone(stage: Stage, limit: Limit, load: Load) -> Result:
    """Have the limit book the payments. Raises TrialError."""
    with stage.place(limit.books) as place:
        before = asyncio.run(totals(place.database_url))
        used_before = stage.accounts.cpu_s([])
        done = subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.limits.{limit.module}", str(load.messages), str(load.invoices)],
            env=environment(place.vhost, place.database_url),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise TrialError(f"{limit.name}: {done.stderr.strip()}")
        said = json.loads(done.stdout)
        payments: int = said["payments"]
        cpu_us = cpu_us_each(used_before, stage.accounts.cpu_s([]), payments)
        cpu_us["program"] = round(said["cpu_s"] / payments * 1e6, 1)
        wrong = asyncio.run(complaints(place.database_url, before, payments))
    return Result(limit.name, payments, round(said["per_s"], 1), cpu_us, peak_mib=0.0, wrong=wrong)
