"""The AsyncAPI document passes the official parser, the npm package @asyncapi/parser (it needs node and npm)."""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.publish import ASYNCAPI_FILE, FOLDER

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules" / ".installed"
"""The lock file that the packages were installed from."""

Parse = Callable[[Path], subprocess.CompletedProcess[str]]


def run(*command: str, timeout_s: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=timeout_s)


def install() -> None:
    """Install what package-lock.json names, unless it is there; two test runs at once install once."""
    lock_file = HERE / "package-lock.json"
    with lock_file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = lock.read()
        if INSTALLED.is_file() and INSTALLED.read_text() == wanted:
            return
        done = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", timeout_s=300)
        if done.returncode:
            pytest.fail(f"npm ci in tests/contract failed:\n{done.stderr[-2000:]}", pytrace=False)
        INSTALLED.write_text(wanted)


@pytest.fixture(scope="module")
def parse() -> Parse:
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        pytest.fail(f"{' and '.join(missing)} missing: install nodejs and npm for the AsyncAPI parser", pytrace=False)
    install()
    return lambda path: run("node", "parse.mjs", str(path), timeout_s=120)


def changed(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_official_parser_finds_no_error_and_no_warning(parse: Parse) -> None:
    found = parse(FOLDER / ASYNCAPI_FILE)
    assert found.returncode == 0, found.stdout + found.stderr


def _no_action(document: Any) -> None:
    del document["operations"]["sendOutcome"]["action"]


def _unknown_binding(document: Any) -> None:
    document["channels"]["registrations"]["bindings"]["amqp"]["exchange"]["type"] = "topical"


def _no_such_payload(document: Any) -> None:
    document["components"]["messages"]["invoice.put.v1"]["payload"]["$ref"] = "./invoice.put.v2.json"


def _undefined_parameter(document: Any) -> None:
    del document["channels"]["registrations"]["parameters"]["company"]


def _unknown_type(schema: Any) -> None:
    schema["properties"]["paydate"]["type"] = "day"


@pytest.mark.parametrize(
    ("file", "change"),
    [
        (ASYNCAPI_FILE, _no_action),
        (ASYNCAPI_FILE, _unknown_binding),
        (ASYNCAPI_FILE, _no_such_payload),
        (ASYNCAPI_FILE, _undefined_parameter),
        ("ropo.payment.v1.json", _unknown_type),
    ],
)
def test_the_official_parser_refuses_a_broken_document_or_payload(
    parse: Parse, tmp_path: Path, file: str, change: Callable[[Any], None]
) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    changed(tmp_path / file, change)
    found = parse(tmp_path / ASYNCAPI_FILE)
    assert found.returncode == 1, found.stdout
    assert "Error " in found.stdout, found.stdout + found.stderr


def test_the_lock_file_pins_every_package_by_its_hash_and_names_no_registry() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    del packages[""]
    assert packages
    assert all("integrity" in each and "resolved" not in each for each in packages.values())
