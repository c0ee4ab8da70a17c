"""Limit (f): the worker's own transactions on requests in memory, in batches, as fast as one connection takes them.

python -m tests.benchmarks.limits.in_batches MESSAGES INVOICES: prints what it came to as JSON.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import uvloop

from tests.benchmarks.payments import COMPANY, Load, as_published
from worker.books.companies import read_policies
from worker.books.ledger import settle_batch
from worker.books.session import LOOKUPS, Session
from worker.domain.message import Message
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request
from worker.domain.view import Moment
from worker.limits import BATCH_MESSAGES_MAX


async def main(load: Load) -> None:
    warm_up = Load(BATCH_MESSAGES_MAX, load.invoices, mark="w")
    async with Session(os.environ["PAYMENT_WORKER_DATABASE_URL"], "benchmark", settings=LOOKUPS) as session:
        async with session.connection() as connection:
            policies = await read_policies(connection, {COMPANY})
        moment = Moment(datetime.now(UTC), ZoneInfo("UTC"))
        asked = requests(load, policies[COMPANY], moment)
        await settle_batch(session, requests(warm_up, policies[COMPANY], moment), policies, moment)
        began, used_s = time.perf_counter(), time.process_time()
        for numbers in load.windows(BATCH_MESSAGES_MAX):
            await settle_batch(session, asked[numbers.start : numbers.stop], policies, moment)
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - used_s
    said = {"payments": load.messages + warm_up.messages, "per_s": load.messages / took_s, "cpu_s": cpu_s}
    print(json.dumps(said))


def requests(load: Load, policy: Policy, moment: Moment) -> list[Request]:
    """Return the payments as the worker has read them."""
    return [read_request(message(load, number), policy, moment.today) for number in range(load.messages)]


def message(load: Load, number: int) -> Message:
    published = as_published(load.key(number), load.payment(number))
    return Message(routing_key=published.routing_key, body=published.body, message_id=load.key(number))


if __name__ == "__main__":
    uvloop.run(main(Load(int(sys.argv[1]), int(sys.argv[2]))))
