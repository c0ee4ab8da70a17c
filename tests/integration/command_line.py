"""The command line as people use it: a process of its own, with a test's servers in its environment."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0
NOWHERE = "127.0.0.1:1"
"""Where no server is."""
PROGRAM = (sys.executable, "-c", "from worker.cli import main; main(prog_name='payment-worker')")


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one line that tells of the error."""
        (line,) = [line for line in self.stderr.splitlines() if line.startswith("Error: ")]
        return line.removeprefix("Error: ")


class CommandLine:
    """Runs `payment-worker` with these settings and no others."""

    def __init__(self, amqp_url: str, database_url: str) -> None:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("PAYMENT_WORKER_")}
        self.environment = inherited | {
            "PAYMENT_WORKER_AMQP_URL": amqp_url,
            "PAYMENT_WORKER_DATABASE_URL": database_url,
            "PAYMENT_WORKER_HTTP_HOST": "127.0.0.1",
            "PAYMENT_WORKER_HTTP_PORT": "0",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    async def start(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str | None] | None = None,
        program: Sequence[str] = (),
    ) -> asyncio.subprocess.Process:
        """Start the command, or that program in its place."""
        changed = self.environment | dict(environment or {})
        return await asyncio.create_subprocess_exec(
            *(program or PROGRAM),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: text for name, text in changed.items() if text is not None},
        )

    async def end(self, process: asyncio.subprocess.Process, stdin: bytes = b"") -> Result:
        """Wait for the end of a process. No command ever shows a traceback."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                stdout, stderr = await process.communicate(stdin)
        except TimeoutError:
            process.kill()
            stdout, stderr = await process.communicate()
            raise AssertionError(f"the command did not end; it said {stdout!r} {stderr!r}") from None
        result = Result(process.returncode or 0, stdout.decode(), stderr.decode())
        assert "Traceback" not in result.stderr
        return result

    async def run(
        self, *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str | None] | None = None
    ) -> Result:
        return await self.end(await self.start(*arguments, environment=environment), stdin)

    async def succeed(self, *arguments: str | Path, stdin: bytes = b"") -> Result:
        result = await self.run(*arguments, stdin=stdin)
        assert result.status == 0, result.stderr
        return result

    async def fail(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run a command that fails, and return the one line it says of that."""
        result = await self.run(*arguments, stdin=stdin)
        assert result.status == 1, result
        return result.error
