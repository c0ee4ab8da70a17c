"""The people who run the worker: its command line, and what the servers say of themselves."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg

from tests.endurance.ledger import QUEUE
from tests.endurance.world import World
from tests.integration.command_line import CommandLine

ASK_S = 10.0
QUEUES = (
    "payments.registrations",
    "payments.invoices",
    "payments.dead-letters",
    *(f"payments.retry.{delay}s" for delay in (5, 30, 300)),
    QUEUE,
)


class CommandError(Exception):
    """A command of the worker failed."""


class Operation:
    def __init__(self, amqp_url: str, database_url: str) -> None:
        self.amqp_url = amqp_url
        self.database_url = database_url
        self.line = CommandLine(amqp_url, database_url)

    async def command(self, *arguments: str | Path) -> str:
        """Run `payment-worker` with these arguments, however long it takes. Raises CommandError."""
        process = await self.line.start(*arguments)
        try:
            stdout, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            said = (stderr + stdout).decode().strip()
            raise CommandError(f"payment-worker {' '.join(map(str, arguments))}: {process.returncode}: {said}")
        return stdout.decode()

    async def set_up(self, world: World, folder: Path) -> None:
        """Set up, with all companies and invoices, and the ledger's queue."""
        await self.command("setup")
        for company in world.companies:
            await self.command("companies", "put", *company.policy())
            file = folder / f"{company.name}.csv"
            file.write_text(world.csv(company), encoding="utf-8")
            await self.command("invoices", "import", file, "--company", company.name)
            file.unlink()
        async with await aio_pika.connect(self.amqp_url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
            await queue.bind("payments.outcomes", "outcome.#")

    async def shown_invoice(self, company: str, billcode: str) -> dict[str, Any]:
        shown = await self.command("invoices", "show", "--company", company, "--billcode", billcode, "--json")
        return dict(json.loads(shown))

    async def outbox_and_dead_letters(self) -> tuple[int, int]:
        """Return how many outcomes are still to be published, and how often something was filed."""
        connection = await asyncpg.connect(self.database_url, timeout=ASK_S)
        try:
            outbox = await connection.fetchval("SELECT count(*) FROM outbox", timeout=ASK_S)
            filed = await connection.fetchval("SELECT coalesce(sum(count), 0) FROM dead_letters", timeout=ASK_S)
        finally:
            await connection.close(timeout=ASK_S)
        return int(outbox), int(filed)

    async def waiting(self) -> dict[str, int]:
        """Return the queues that hold messages ready for delivery, and how many."""
        async with asyncio.timeout(ASK_S), await aio_pika.connect(self.amqp_url) as connection:
            channel = await connection.channel()
            declared = [(await channel.declare_queue(name, passive=True)).declaration_result for name in QUEUES]
        return {str(each.queue): each.message_count for each in declared if each.message_count}
