"""Who runs on which cores: all on all, as the system schedules them, or worker and Postgres together on some."""

import os
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from deploy.servers import Servers
from deploy.servers.native import NativeServer
from tests.benchmarks.accounting import Accounts

Cores = Literal["shared", "together"]


def arrangements(servers: Servers) -> tuple[Cores, ...]:
    """Return how the cores can be used here: a server in a container is not ours to be put on some of them."""
    is_ours = isinstance(servers.database, NativeServer)
    return ("shared", "together") if is_ours and len(os.sched_getaffinity(0)) > 1 else ("shared",)


@contextmanager
def arranged(cores: Cores, accounts: Accounts, program: Iterable[int]) -> Iterator[None]:
    """Have the cores used so while the block runs; Postgres has all of them again afterwards.

    Together, the program and Postgres, of which one mostly waits for the other, have the first half of the cores and no
    other. RabbitMQ and whoever measures run where there is room.
    """
    if cores == "shared":
        yield
        return
    every = os.sched_getaffinity(0)
    books = set(sorted(every)[: len(every) // 2])
    try:
        bind(accounts.processes(program), books)
        for _ in range(2):  # what a process starts has its cores, but for what it started before it was its turn
            bind(accounts.processes("postgres"), books)
        yield
    finally:
        bind(accounts.processes("postgres"), every)


def bind(pids: Iterable[int], cores: AbstractSet[int]) -> None:
    """Let all threads of the processes run on these cores alone, and whatever they start."""
    for pid in pids:
        for thread in threads(pid):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread, cores)


def threads(pid: int) -> list[int]:
    """Return the ids of the process's threads; none where it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()]
    return []
