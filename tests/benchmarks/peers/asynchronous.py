"""One payment in one transaction on asyncpg: the work of the two asynchronous peers."""

from typing import Any

import asyncpg

from tests.benchmarks.peers.statements import ALLOCATE, CLAIM, HELD, KEEP, LOCK, UPDATE, cents, focus, outcome

POOL_CONNECTIONS = 10
"""asyncpg's own default."""


async def register(pool: "asyncpg.Pool[Any]", company: str, key: str, payment: dict[str, Any]) -> str:
    """Book the payment once and return its outcome's text."""
    async with pool.acquire() as connection, connection.transaction():
        amount = cents(payment["amount"])
        payment_id = await connection.fetchval(CLAIM.format("$1, $2, $3"), company, key, amount)
        if payment_id is None:
            return str(await connection.fetchval(HELD.format("$1", "$2"), company, key))
        invoice = await connection.fetchrow(LOCK.format("$1", "$2"), company, payment["billcode"])
        if invoice is None:
            raise LookupError(payment["billcode"])
        focused = focus(amount, invoice["capital"], invoice["interest"], invoice["noticefee"])
        await connection.execute(ALLOCATE.format("$1, $2, $3, $4, $5"), payment_id, invoice["id"], *focused)
        await connection.execute(UPDATE.format("$1", "$2", "$3", "$4"), *focused, invoice["id"])
        text = outcome(company, key, payment, focused)
        await connection.execute(KEEP.format("$1", "$2"), text, payment_id)
        return text
