"""How long it takes from publish to outcome: at a rate that the worker keeps up with, and when it is idle."""

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from schemas.catalog import REGISTRATIONS_QUEUE
from tests.benchmarks.accounting import cpu_us_each
from tests.benchmarks.contestants import WORKER
from tests.benchmarks.cores import Cores, arranged
from tests.benchmarks.crew import Crew, environment
from tests.benchmarks.ledger import open_ledger
from tests.benchmarks.stage import Stage
from tests.benchmarks.trial import TrialError
from tests.site import eventually
from worker.broker.connection import connect
from worker.broker.topology import declare

READY_S = 60.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds from publish to outcome: at the rate, and of single messages on an idle worker.

    cores: who ran on which. CPU in microseconds a payment, of program, postgres, rabbitmq, and of the prober, which
    shares their cores.
    """

    cores: Cores
    per_s: float
    median_ms: float
    p99_ms: float
    max_ms: float
    idle_median_ms: float
    idle_p99_ms: float
    cpu_us: dict[str, float]

    def row(self) -> dict[str, Any]:
        return asdict(self)


def measure(stage: Stage, cores: Cores, per_s: float, seconds: float, singles: int) -> Latency:
    """Have payments published at that rate, and then one by one. Raises TrialError."""
    with stage.place("worker") as place:
        surroundings = environment(place.vhost, place.database_url)
        asyncio.run(_prepare(place.vhost.amqp_url))
        with Crew(WORKER, surroundings) as crew:
            asyncio.run(_await_consumer(place.vhost.amqp_url, crew))
            with arranged(cores, stage.accounts, crew.pids):
                used_before = stage.accounts.cpu_s(crew.pids)
                asked = map(str, (per_s, seconds, singles, stage.invoices))
                done = subprocess.run(
                    [sys.executable, "-m", "tests.benchmarks.prober", *asked],
                    env=surroundings,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                used = stage.accounts.cpu_s(crew.pids)
        if done.returncode != 0:
            raise TrialError(f"latency: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    loaded, idle = said["loaded"], said["idle"]
    count = len(loaded) + len(idle)
    return Latency(
        cores,
        round(per_s, 1),
        round(statistics.median(loaded), 2),
        round(percentile(loaded, 99), 2),
        round(max(loaded), 2),
        round(statistics.median(idle), 2),
        round(percentile(idle, 99), 2),
        {**cpu_us_each(used_before, used, count), "prober": round(said["cpu_s"] / count * 1e6, 1)},
    )


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


async def _prepare(amqp_url: str) -> None:
    connection = await connect(amqp_url, "benchmark")
    try:
        await declare(connection)
        await open_ledger(connection)
    finally:
        await connection.close()


async def _await_consumer(amqp_url: str, crew: Crew) -> None:
    """Wait until the worker takes payments."""
    connection = await connect(amqp_url, "benchmark")
    channel = await connection.channel()

    async def takes_payments() -> bool:
        if crew.has_ended:
            raise TimeoutError
        queue = await channel.declare_queue(REGISTRATIONS_QUEUE, passive=True)
        return bool(queue.declaration_result.consumer_count)

    try:
        await eventually(takes_payments, within_s=READY_S)
    except TimeoutError:
        raise TrialError(f"the worker takes no payments; what it said last:\n{crew.log_tail()}") from None
    finally:
        await connection.close()
