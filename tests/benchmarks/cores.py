"""Who runs on which cores: on all, as the system schedules them, or in two groups that keep out of each other's way."""

import os
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from deploy.servers import Servers
from deploy.servers.native import NativeServer
from tests.benchmarks.accounting import Accounts

Cores = Literal["shared", "apart"]


def arrangements(servers: Servers) -> tuple[Cores, ...]:
    """Return how the cores can be used here: a server in a container is not ours to be put on some of them."""
    is_ours = isinstance(servers.database, NativeServer) and isinstance(servers.broker, NativeServer)
    return ("shared", "apart") if is_ours and len(os.sched_getaffinity(0)) > 1 else ("shared",)


@contextmanager
def arranged(cores: Cores, accounts: Accounts, program: Iterable[int]) -> Iterator[AbstractSet[int]]:
    """Give the cores for whoever measures while the block runs; the servers have all cores again afterwards.

    Apart, the program and Postgres, of which one mostly waits for the other, have the first half of the cores; RabbitMQ
    and whoever measures have the second.
    """
    every = os.sched_getaffinity(0)
    if cores == "shared":
        yield every
        return
    in_order = sorted(every)
    books, broker = set(in_order[: len(in_order) // 2]), set(in_order[len(in_order) // 2 :])
    try:
        bind(accounts.processes(program), books)
        bind(accounts.processes("postgres"), books)
        bind(accounts.processes("rabbitmq"), broker)
        yield broker
    finally:
        bind(accounts.processes("postgres"), every)
        bind(accounts.processes("rabbitmq"), every)


def bind(pids: Iterable[int], cores: AbstractSet[int]) -> None:
    """Let all threads of the processes run on these cores alone, and whatever they start."""
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread.name), cores)
