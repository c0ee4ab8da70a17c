"""Payments per second through one worker, from the queue to the confirmed outcome. Reports; asserts no time.

python -m deploy.servers python -m tests.benchmarks.throughput [MESSAGES]
"""

import asyncio
import json
import os
import re
import sys
import time
import urllib.request
from pathlib import Path

import aio_pika
import asyncpg

from worker.books.companies import put_policy
from worker.books.migrate import migrate
from worker.broker.connection import connect
from worker.broker.publisher import Publication, Publisher
from worker.broker.topology import declare
from worker.domain.policy import Policy

INVOICES = 5_000
WINDOW_MESSAGES = 200
HTTP_PORT = 18_080


async def main(messages: int) -> None:
    """Fill the queue, start a worker, and watch until the last outcome has been confirmed."""
    amqp_url, database_url = (os.environ[f"PAYMENT_WORKER_{name}_URL"] for name in ("AMQP", "DATABASE"))
    await migrate(database_url)
    books = await asyncpg.connect(database_url)
    connection = await connect(amqp_url, "benchmark")
    await declare(connection)
    await put_policy(books, Policy(company="bench", currency="EUR"))
    await books.execute(
        "INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)"
        " SELECT 'bench', 'b' || n, 'EUR', 'OPEN', 1, 100000000, 1000, 500 FROM generate_series(1, $1) AS n",
        INVOICES,
    )
    channel = await connection.channel()
    outcomes = await channel.declare_queue("benchmark.outcomes", durable=True, arguments={"x-queue-type": "quorum"})
    await outcomes.bind("payments.outcomes", "#")

    published_s = await fill(Publisher(connection), messages)
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("payment-worker"),
        "run",
        env=os.environ | {"PAYMENT_WORKER_HTTP_PORT": str(HTTP_PORT), "PAYMENT_WORKER_LOG_LEVEL": "warning"},
    )
    try:
        began = await until(books, "SELECT EXISTS (SELECT FROM payments)", began=time.perf_counter())
        done = f"SELECT count(*) = {messages} FROM payments"
        booked_s = await until(books, done, began=began)
        told_s = await until(books, "SELECT NOT EXISTS (SELECT FROM outbox)", began=began)
        metrics = await asyncio.to_thread(read_metrics)
        memory = await asyncio.to_thread(Path(f"/proc/{process.pid}/status").read_text)
    finally:
        process.terminate()
        await process.wait()
    peak = re.search(r"VmHWM:\s+(\d+) kB", memory)
    print(
        json.dumps(
            {
                "messages": messages,
                "published_per_s": round(messages / published_s),
                "booked_per_s": round(messages / (booked_s - began)),
                "told_per_s": round(messages / (told_s - began)),
                "batches": metrics,
                "resident_peak_mib": int(peak[1]) // 1024 if peak else None,
            },
            indent=2,
        )
    )
    await books.close()
    await connection.close()


async def fill(publisher: Publisher, messages: int) -> float:
    """Publish the payments as an upstream does and return the seconds it took."""
    began = time.perf_counter()
    for start in range(0, messages, WINDOW_MESSAGES):
        window = [payment(number) for number in range(start, min(start + WINDOW_MESSAGES, messages))]
        await publisher.publish(window)
    return time.perf_counter() - began


def payment(number: int) -> Publication:
    """Return a Ropo payment of one euro."""
    body = {
        "amount": "1.00",
        "billcode": f"b{number % INVOICES + 1}",
        "paydate": "2017-10-10",
        "description": "benchmark",
    }
    properties = aio_pika.Message(b"", message_id=f"k{number}", delivery_mode=2).properties
    return Publication("payments", "registration.bench", json.dumps(body).encode(), properties)


async def until(books: asyncpg.Connection, sql: str, began: float) -> float:
    """Return the moment at which the statement became true."""
    while not await books.fetchval(sql):  # noqa: ASYNC110 (a table announces nothing)
        await asyncio.sleep(0.005)
    return max(time.perf_counter(), began)


def read_metrics() -> dict[str, float]:
    """Return how many batches of up to how many messages the worker took, from its own /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP_PORT}/metrics") as answer:
        text = answer.read().decode()
    pattern = (
        r'payment_worker_batch_messages_(bucket|count|sum)\{(?:le="([^"]+)",)?queue="payments.registrations"\} (\S+)'
    )
    return {f"{kind} {le}".strip(): float(value) for kind, le, value in re.findall(pattern, text)}


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
