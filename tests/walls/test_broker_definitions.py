"""The definitions' program, as operators use it, and the file that compose.yaml uses."""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.rabbitmq.definitions import COMPANY, TOPICS, downstream, own_roles, upstream
from schemas import catalog
from worker.broker.topology import RETRY_RETURN
from worker.domain.message import DOWNSTREAM, UPSTREAM
from worker.publications import downstream_queue

FOLDER = Path(__file__).parents[2] / "deploy" / "rabbitmq"


def write(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    # With Python and nothing that is installed beside it.
    command = [sys.executable, "-I", "-S", FOLDER / "definitions.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def fits(password: str, hashed: str) -> bool:
    known = base64.b64decode(hashed)
    return known[4:] == hashlib.sha256(known[:4] + password.encode()).digest()


def without_hashes(written: dict[str, Any]) -> dict[str, Any]:
    return written | {"users": [user | {"password_hash": None} for user in written["users"]]}


def test_passwords_are_made_once_for_their_owner_alone_and_never_written_down_elsewhere(tmp_path: Path) -> None:
    first = write("--passwords", tmp_path / "new", "acme")
    assert first.returncode == 0, first.stderr
    names = {"worker", "setup", "ops", "monitoring", "upstream.acme", "downstream.acme"}
    files = {file.name: file for file in (tmp_path / "new").iterdir()}
    assert files.keys() == names
    assert {file.stat().st_mode & 0o777 for file in files.values()} == {0o600}
    passwords = {name: file.read_text().strip() for name, file in files.items()}
    assert len(set(passwords.values())) == len(names)
    again = write("--passwords", tmp_path / "new", "acme", "other")
    for written in (json.loads(first.stdout), json.loads(again.stdout)):
        hashes = {user["name"]: user["password_hash"] for user in written["users"]}
        assert all(fits(password, hashes[name]) for name, password in passwords.items())
    assert not any(password in first.stdout + again.stdout for password in passwords.values())


@pytest.mark.parametrize("company", ["Acme", "acme.eu", "-acme", "acme\n", "a" * 64, ".*", ""])
def test_what_is_no_company_gets_no_user(tmp_path: Path, company: str) -> None:
    refused = write("--passwords", tmp_path / "new", "--", company)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert not (tmp_path / "new").exists()


def test_an_empty_password_is_no_password(tmp_path: Path) -> None:
    (tmp_path / "worker").write_text("\n")
    refused = write("--passwords", tmp_path)
    assert refused.returncode == 1
    assert "is empty" in refused.stderr


def test_the_names_are_those_of_the_worker() -> None:
    assert COMPANY.pattern == catalog.COMPANY_PATTERN
    assert set(TOPICS) == {catalog.PAYMENTS, catalog.OUTCOMES, catalog.DEAD_LETTER, RETRY_RETURN}
    assert (upstream("acme").name, downstream("acme").name) == (f"{UPSTREAM}.acme", f"{DOWNSTREAM}.acme")
    assert downstream_queue("acme", "ledger") == "outcomes.acme.ledger"


def test_nobody_but_monitoring_is_let_into_the_management_and_nobody_is_its_administrator() -> None:
    roles = [*own_roles(), upstream("acme"), downstream("acme")]
    assert {role.name: role.tags for role in roles if role.tags} == {"monitoring": ("monitoring",)}


def test_compose_has_the_same_roles_with_the_password_that_its_file_names(tmp_path: Path) -> None:
    written = json.loads(write("--passwords", tmp_path / "new", "acme").stdout)
    kept = json.loads((FOLDER / "compose.json").read_text())
    assert without_hashes(kept) == without_hashes(written)
    assert all(fits("payment-worker", user["password_hash"]) for user in kept["users"])
