"""Known holes in what is locked, as pip-audit and npm tell of them."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CANARY = "jinja2==2.4.1 --hash=sha256:" + "0" * 64
"""A pin with advisories since 2014, which is never installed. An answer that does not know of them is none."""
ACCEPTED: Mapping[str, str] = {}
"""Advisory → why it does not matter here, and until when."""
UNREACHED = "advisories: NOT CHECKED, since no advisory service answers from here"
NODE_UNREACHED = "advisories of the Node packages of a test: NOT CHECKED, since npm reaches no audit service from here"
_GRAVE = ("high", "critical")
TIMEOUT_S = 300


class AuditError(Exception):
    """pip-audit itself failed."""


def complaints(lock: Path, options: Sequence[str] = ()) -> list[str] | None:
    """Return the advisories on what is locked; None where no service could be asked. Raises AuditError.

    options: further ones for pip-audit, such as another service.
    """
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{lock.read_text().rstrip()}\n{CANARY}\n")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--require-hashes"]
        command += ["--disable-pip", "--format", "json", "--desc", "off", "--progress-spinner", "off", *options]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None
    return verdict(ran.stdout, ran.stderr)


def node_complaints(folder: Path) -> list[str] | None:
    """Return what npm knows of grave holes in what the folder's package-lock.json names; None as complaints() does."""
    if shutil.which("npm") is None:
        return None
    command = ["npm", "audit", "--json", "--package-lock-only"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, cwd=folder)
    except subprocess.TimeoutExpired:
        return None
    return node_verdict(ran.stdout)


def node_verdict(answer: str) -> list[str] | None:
    """Return what npm's answer in JSON comes to. Those packages run in a test alone, so a lesser hole is left out."""
    try:
        found = json.loads(answer or "{}").get("vulnerabilities")
    except ValueError:
        found = None
    if found is None:
        return None
    return [f"{name} (npm): {each['severity']}" for name, each in found.items() if each["severity"] in _GRAVE]


def verdict(answer: str, errors: str) -> list[str] | None:
    """Return what pip-audit's answer in JSON comes to, as complaints() does."""
    if not answer.strip():
        if any(sign in errors for sign in ("ConnectionError", "ProxyError", "SSLError", "Timeout", "ServiceError")):
            return None
        raise AuditError(
            f"pip-audit failed: {errors.strip().splitlines()[-1] if errors.strip() else 'it said nothing'}"
        )
    found: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    canary = CANARY.partition("==")[0]
    if not any(each["name"] == canary and each.get("vulns") for each in found):
        return None
    said = [
        f"{each['name']} {each['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for each in found
        for hole in each.get("vulns", ())
        if each["name"] != canary and not {hole["id"], *hole.get("aliases", ())} & ACCEPTED.keys()
    ]
    return said + [f"{each['name']}: {each['skip_reason']}" for each in found if "skip_reason" in each]
