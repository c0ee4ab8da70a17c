"""The check of the dependencies finds what is wrong with a lock, a licence, or a package with a known hole."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageMetadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.dependencies import ROOT, advisories, licences, lock

HASH = "    --hash=sha256:" + "0" * 64
PROJECT = '[project]\ndependencies = ["click>=8"]\n[build-system]\nrequires = []\n'


def wrong_in(folder: Path, lines: str, project: str = PROJECT) -> list[str]:
    (folder / "pyproject.toml").write_text(project)
    (folder / "requirements.lock").write_text(lines)
    return lock.disagreements(folder / "pyproject.toml", folder / "requirements.lock")


def test_the_lock_names_all_that_is_needed_and_nothing_else_each_with_its_hashes() -> None:
    assert lock.disagreements(ROOT / "pyproject.toml", ROOT / "requirements.lock") == []


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (f"click==8.1 \\\n{HASH}", []),
        ("click==8.1", ["requirements.lock: click has no hash"]),
        (f"click==7.0 \\\n{HASH}", ["requirements.lock: click 7.0 is not click>=8"]),
        (f"rich==1 \\\n{HASH}", ["requirements.lock: lacks click>=8", "requirements.lock: nothing needs rich"]),
        (f"click==8.1 \\\n{HASH} \\\n    --hash=md5:00", ["requirements.lock:3: is neither a package"]),
        (f"--pre\nclick==8.1 \\\n{HASH}", ["requirements.lock:1: is neither a package"]),
        (
            f"click>=8 \\\n{HASH}",
            ["requirements.lock:1: is neither", "requirements.lock:2: is", "requirements.lock: lacks"],
        ),
        (f"click==8.1 \\\n{HASH}\nclick==8.2 \\\n{HASH}", ["requirements.lock:3: click stands there twice"]),
        (f"click==8.1 \\\n{HASH}\ncolorama==1 ; sys_platform == 'no such' \\\n{HASH}", []),
    ],
)
def test_a_lock_that_disagrees_is_told_line_by_line(tmp_path: Path, lines: str, wrong: list[str]) -> None:
    told = wrong_in(tmp_path, lines)
    assert len(told) == len(wrong)
    assert all(any(line.startswith(start) for line in told) for start in wrong), told


def test_what_an_installed_package_needs_is_to_be_locked_too(tmp_path: Path) -> None:
    project = PROJECT.replace("click>=8", "markdown-it-py>=1")
    assert wrong_in(tmp_path, f"markdown-it-py==4 \\\n{HASH}", project) == ["requirements.lock: lacks mdurl~=0.1"]


def test_every_licence_of_what_is_installed_is_allowed_or_has_a_reason() -> None:
    pins, _ = lock.read_lock(ROOT / "requirements.lock")
    assert licences.complaints(name for name, pin in pins.items() if pin.is_for_here) == []


@pytest.mark.parametrize(
    ("said", "licence", "is_allowed"),
    [
        ({"License-Expression": "MIT"}, "MIT", True),
        ({"License-Expression": "GPL-3.0-only OR Apache-2.0"}, "GPL-3.0-only OR Apache-2.0", True),
        ({"License-Expression": "GPL-3.0-only AND MIT"}, "GPL-3.0-only AND MIT", False),
        ({"License-Expression": "(MIT OR GPL-3.0-only) AND MIT"}, "(MIT OR GPL-3.0-only) AND MIT", False),
        ({"License": "MIT License"}, "MIT", True),
        ({"License": "a text\nof many lines", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT", True),
        ({"Classifier": "License :: Other/Proprietary License"}, "Other/Proprietary License", False),
        ({"Classifier": "Topic :: Software Development"}, "", False),
    ],
)
def test_a_licence_is_read_from_the_metadata_and_allowed_as_a_whole(
    said: dict[str, str],
    licence: str,
    is_allowed: bool,  # noqa: FBT001
) -> None:
    metadata = Message()
    for name, value in said.items():
        metadata[name] = value
    assert licences.licence(cast("PackageMetadata", metadata)) == licence
    assert licences.is_allowed(licence) == is_allowed


def test_a_licence_that_is_not_allowed_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "EXCEPTIONS", {"click": "BSD-3-Clause: needs no exception"})
    told = licences.complaints(["certifi", "click", "no-such-package"])
    assert [line.partition(":")[0] for line in told] == ["certifi", "click"]


HOLE = {"id": "PYSEC-2014-8", "aliases": ["CVE-2014-1402"], "fix_versions": ["2.7.2"], "description": ""}
CANARY = {"name": "jinja2", "version": "2.4.1", "vulns": [HOLE]}
SOUND = {"name": "click", "version": "8.1", "vulns": []}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([CANARY, SOUND], []),
        ([CANARY, SOUND | {"vulns": [HOLE]}], ["click 8.1: PYSEC-2014-8, mended in 2.7.2"]),
        ([CANARY, {"name": "click", "skip_reason": "not found"}], ["click: not found"]),
        # Who knows no hole in a package that has many, knows nothing: that must not look like a sound lock.
        ([CANARY | {"vulns": []}, SOUND], None),
        ([{"name": "jinja2", "skip_reason": "not found"}, {"name": "click", "skip_reason": "not found"}], None),
    ],
)
def test_only_an_answer_that_knows_of_a_hole_is_taken_for_one(
    found: list[dict[str, Any]], verdict: list[str] | None
) -> None:
    assert advisories.verdict(json.dumps({"dependencies": found, "fixes": []}), "") == verdict


def test_an_accepted_advisory_is_told_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories, "ACCEPTED", {"CVE-2014-1402": "for the test"})
    answer = json.dumps({"dependencies": [CANARY, SOUND | {"vulns": [HOLE]}]})
    assert advisories.verdict(answer, "") == []


def test_a_failure_of_the_audit_itself_is_no_lack_of_network() -> None:
    assert advisories.verdict("", "requests.exceptions.ConnectionError: no route") is None
    with pytest.raises(advisories.AuditError, match="bad lock"):
        advisories.verdict("", "ERROR: bad lock")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"auditReportVersion": 2, "vulnerabilities": {}}, []),
        ({"vulnerabilities": {"a": {"severity": "critical"}, "b": {"severity": "low"}}}, ["a (npm): critical"]),
        ({"message": "405 Method Not Allowed", "statusCode": 405, "error": {"summary": ""}}, None),
        ({}, None),
    ],
)
def test_npm_is_believed_where_it_had_an_answer(answer: dict[str, Any], verdict: list[str] | None) -> None:
    assert advisories.node_verdict(json.dumps(answer)) == verdict


class _Advisories(BaseHTTPRequestHandler):
    """Answers as an advisory service in the format of OSV does: it knows of holes in jinja2 2.4.1 and click 7.0."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, version = asked["package"]["name"], asked["version"]
        known = {"jinja2": "2.4.1", "click": "7.0"}
        affected = [
            {
                "package": {"name": name, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
            }
        ]
        hole = {"id": f"PYSEC-{name}", "summary": "a hole", "published": "2014-01-01T00:00:00Z", "affected": affected}
        body = json.dumps({"vulns": [hole]} if known.get(name) == version else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@contextmanager
def advisory_service() -> Iterator[list[str]]:
    """Serve; yield the options by which pip-audit asks there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Advisories) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            yield ["--vulnerability-service", "osv", "--osv-url", url]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on this machine is asked directly."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.usefixtures("without_proxy")
@pytest.mark.skipif(find_spec("pip_audit") is None, reason="pip-audit is not installed")
@pytest.mark.parametrize(("version", "told"), [("8.1", []), ("7.0", ["click 7.0: PYSEC-click, mended in 9.9"])])
def test_pip_audit_finds_the_hole_in_a_package_that_has_one(tmp_path: Path, version: str, told: list[str]) -> None:
    (tmp_path / "requirements.lock").write_text(f"click=={version} \\\n{HASH}\n")
    with advisory_service() as options:
        assert advisories.complaints(tmp_path / "requirements.lock", options) == told


@pytest.mark.usefixtures("without_proxy")
@pytest.mark.skipif(find_spec("pip_audit") is None, reason="pip-audit is not installed")
def test_without_an_advisory_service_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(f"click==8.1 \\\n{HASH}\n")
    nowhere = ["--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:9"]
    assert advisories.complaints(tmp_path / "requirements.lock", nowhere) is None
