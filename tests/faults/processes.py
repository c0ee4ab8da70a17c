"""Workers as processes of their own, to be killed: as ops starts them, or forked from one that has imported all."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.site import Site
from worker.app import run

_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["worker.app", "uvloop"])


@contextmanager
def forked_worker(site: Site, **changes: Any) -> Iterator[ForkServerProcess]:
    """A worker that starts in a moment, killed with SIGKILL at the end."""
    process = _FORKED.Process(target=run, args=(site.settings(**changes),))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


@asynccontextmanager
async def worker_process(site: Site, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker as ops starts it, killed at the end if it still runs."""
    given = os.environ | {
        "PAYMENT_WORKER_AMQP_URL": site.amqp_url,
        "PAYMENT_WORKER_DATABASE_URL": site.database_url,
        "PAYMENT_WORKER_HTTP_PORT": "0",
        "PAYMENT_WORKER_HTTP_HOST": "127.0.0.1",
    }
    command = Path(sys.executable).with_name("payment-worker")
    process = await asyncio.create_subprocess_exec(
        command, "run", env=given | environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
