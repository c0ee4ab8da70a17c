"""No command and no worker says a password, in good state or in bad."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from click.testing import CliRunner

from tests.integration.command_line import DEADLINE_S, NOWHERE, CommandLine
from tests.places import Vhost
from tests.site import Site
from tests.walls.loud_worker import LOUD
from tests.walls.secret import CORES, found, password, with_login
from tests.walls.secretive import secretive_line
from worker.cli import main

AMQP, DATABASE = "PAYMENT_WORKER_AMQP_URL", "PAYMENT_WORKER_DATABASE_URL"


@pytest.fixture
async def line(site: Site, vhost: Vhost) -> AsyncIterator[CommandLine]:
    async with secretive_line(site, vhost) as line:
        yield line


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "payments.jsonl").write_text('{"amount": "1.00", "billcode": "B1", "paydate": "2017-10-10"}\n')
    (tmp_path / "invoices.jsonl").write_text('{"billcode": "B1", "capital": "5.00"}\n')
    return tmp_path


COMMANDS = (
    "--version",
    "setup",
    "doctor",
    "doctor --json",
    "companies put acme --currency EUR",
    "companies list",
    "invoices import {files}/invoices.jsonl --company acme",
    "invoices show --company acme --billcode B1",
    "wallets put --company acme --number W1 --unconditional 5.00",
    "wallets list --company acme",
    "publish {files}/payments.jsonl --company acme",
    "payments show k1 --company acme",
    "outcomes follow --count 1 --timeout 0.1",
    "outcomes resend --company acme --since 2017-01-01",
    "dead-letters list",
    "dead-letters replay 7",
    "audit",
)


async def said_by(line: CommandLine, *commands: str, **environment: str) -> str:
    """Return all that the commands say, one after the other, with Python at its loudest."""
    said = ""
    for command in commands:
        done = await line.run(*command.split(), environment={**LOUD, **environment})
        said += f"{command}: {done.status}\n{done.stdout}\n{done.stderr}\n"
    return said


async def test_no_command_says_a_password_when_all_is_well(line: CommandLine, files: Path) -> None:
    commands = [command.format(files=files) for command in COMMANDS]
    told = [await asyncio.to_thread(said_here, line.environment, command) for command in commands]
    said = "\n".join([*told, await said_by(line, "doctor", "setup", f"publish {files}/payments.jsonl --company acme")])
    assert found(said, *CORES.values()) == []
    ended = {text.split(":")[0]: text.split()[-1] for text in said.splitlines() if text.split(":")[0] in COMMANDS}
    failed = {command for command, status in ended.items() if status != "0"}
    assert failed == {
        "payments show k1 --company acme",
        "outcomes follow --count 1 --timeout 0.1",
        "dead-letters replay 7",
    }


def damaged(url: str, **parts: str) -> str:
    return urlunsplit(urlsplit(url)._replace(**parts))


def elsewhere(url: str, where: str) -> str:
    return damaged(url, netloc=f"{urlsplit(url).netloc.rpartition('@')[0]}@{where}")


WRONG = CORES["wrong"]
UNQUOTED = f"someone:{password(WRONG)}@{NOWHERE}"
State = Callable[[str, str], dict[str, str]]
STATES: Mapping[str, State] = {
    "wrong passwords": lambda amqp, database: {
        AMQP: with_login(amqp, "someone", WRONG),
        DATABASE: with_login(database, "someone", WRONG),
    },
    "servers away": lambda amqp, database: {AMQP: elsewhere(amqp, NOWHERE), DATABASE: elsewhere(database, NOWHERE)},
    "no such hosts": lambda amqp, database: {
        AMQP: elsewhere(amqp, "nowhere.invalid"),
        DATABASE: elsewhere(database, "nowhere.invalid"),
    },
    "no such vhost or database": lambda amqp, database: {
        AMQP: damaged(amqp, path="/nix"),
        DATABASE: damaged(database, path="/nix"),
    },
    "no such ports": lambda amqp, database: {
        AMQP: elsewhere(amqp, "localhost:port"),
        DATABASE: elsewhere(database, "localhost:99999"),
    },
    "wrong schemes": lambda amqp, database: {
        AMQP: damaged(amqp, scheme="http"),
        DATABASE: damaged(database, scheme="mysql"),
    },
    "unquoted": lambda _, __: {AMQP: f"amqp://{UNQUOTED}/", DATABASE: f"postgresql://{UNQUOTED}/x"},
    "an @ that is not quoted": lambda _, __: {DATABASE: f"postgresql://someone:{WRONG}@{WRONG}@{NOWHERE}/x"},
    "TLS that is not there": lambda amqp, database: {
        AMQP: damaged(amqp, scheme="amqps"),
        DATABASE: damaged(database, query=f"sslmode=require&sslpassword={WRONG}"),
    },
    "a query that makes no sense": lambda amqp, database: {
        AMQP: damaged(amqp, query=f"heartbeat={WRONG}"),
        DATABASE: damaged(database, query=f"password={WRONG}&sslmode={WRONG}&port={WRONG}"),
    },
    "URLs for files": lambda amqp, database: {f"{AMQP}_FILE": amqp, f"{DATABASE}_FILE": database},
}
"""What may be wrong with the settings, as the variables to change."""


@pytest.mark.parametrize("state", STATES)
async def test_whatever_is_wrong_no_password_is_said(line: CommandLine, files: Path, state: str) -> None:
    wrong = STATES[state](line.environment[AMQP], line.environment[DATABASE])
    commands = ("doctor", "companies list", f"publish {files}/payments.jsonl --company acme", "setup")
    said = [await asyncio.to_thread(said_here, line.environment | wrong, command) for command in commands]
    said.append(await said_at_start(line, wrong))
    assert found("\n".join(said), *CORES.values()) == []
    assert "FAILED" in said[0]
    assert any("Error: " in each for each in said[1:4])


def said_here(environment: Mapping[str, str], command: str) -> str:
    """Return what the command says when it is run in this process."""
    done = CliRunner().invoke(main, command.split(), env=environment)
    return f"{command}: {done.exit_code}\n{done.output}"


async def said_at_start(line: CommandLine, environment: Mapping[str, str]) -> str:
    """Return what a worker says until it gives up, or waits for both servers."""
    at_once = {"PAYMENT_WORKER_SHUTDOWN_DEADLINE_S": "0.5"}
    worker = await line.start("run", environment={**LOUD, **at_once, **environment})
    assert worker.stderr is not None
    said = ""
    async with asyncio.timeout(DEADLINE_S):
        while line_said := (await worker.stderr.readline()).decode():
            said += line_said
            if "away" in line_said or "waits" in line_said:
                worker.terminate()
    ended = await line.end(worker)
    return said + ended.stdout + ended.stderr


@pytest.mark.parametrize("content", [b"{amqp}\n{database}\n", b"{amqp}\xff", b"{amqp}\0"])
async def test_a_file_that_holds_no_url_is_not_told(line: CommandLine, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "url"
    for name in ("amqp", "database"):
        url = line.environment[f"PAYMENT_WORKER_{name.upper()}_URL"]
        content = content.replace(b"{%s}" % name.encode(), url.encode())
    file.write_bytes(content)
    said = await said_by(line, "run", **{f"{AMQP}_FILE": str(file)})
    assert found(said, *CORES.values()) == []
    assert "PAYMENT_WORKER_AMQP_URL" in said
