import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aio_pika
import asyncpg
import pytest

from deploy.servers import Servers
from deploy.servers.janitor import await_end

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0


def run(servers: Servers, program: str) -> "subprocess.Popen[str]":
    """`python -m deploy.servers` with a Python program, on servers that are there already."""
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.servers", sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PAYMENT_WORKER_SERVERS": "env", **servers.environment()},
        stdin=subprocess.DEVNULL,  # no terminal, from which Ctrl-C would reach the command as well
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_command_gets_the_urls_and_its_status_is_handed_back(servers: Servers) -> None:
    runner = run(servers, "import json, os, sys; json.dump(dict(os.environ), sys.stdout); sys.exit(7)")
    output, _ = runner.communicate(timeout=DEADLINE_S)
    assert runner.returncode == 7
    assert servers.environment().items() <= json.loads(output).items()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_command_ends_with_its_runner(servers: Servers, number: signal.Signals) -> None:
    with run(servers, "import os, time; print(os.getpid(), flush=True); time.sleep(600)") as runner:
        assert runner.stdout is not None
        command = int(runner.stdout.readline())
        runner.send_signal(number)
        assert runner.wait(DEADLINE_S) != 0
        assert await_end(command, DEADLINE_S)


def test_what_a_killed_runner_started_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    program = f"""
import os, signal, subprocess
from deploy.servers.janitor import Janitor
janitor = Janitor()
janitor.add("directory", {str(folder)!r})
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
janitor.adopt("group", child)
print(child.pid, janitor.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    runner = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    child, janitor = map(int, runner.stdout.split())
    assert await_end(janitor, DEADLINE_S)
    assert await_end(child, DEADLINE_S)
    assert not folder.exists()


async def test_servers_come_back_with_their_data_on_the_same_ports_after_being_killed(own_servers: Servers) -> None:
    async def note(statement: str) -> object:
        connection = await asyncpg.connect(own_servers.database_url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    await note("CREATE TABLE survivor AS SELECT 42 AS answer")
    async with await aio_pika.connect(own_servers.amqp_url) as connection, connection.channel() as channel:
        await channel.declare_queue("survivor", durable=True)

    # RabbitMQ confirms a queue a moment before its name is safe from a kill; a stop in good order makes it so.
    await asyncio.to_thread(own_servers.broker.restart)
    for server in (own_servers.database, own_servers.broker):
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

    assert await note("SELECT answer FROM survivor") == 42
    async with await aio_pika.connect(own_servers.amqp_url) as connection, connection.channel() as channel:
        await channel.declare_queue("survivor", passive=True)
        await channel.queue_delete("survivor")
    await note("DROP TABLE survivor")
