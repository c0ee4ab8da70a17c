"""The peers' own virtual environment: what they need is no part of the project, and is pinned apart with its hashes."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from deploy.servers.progress import step

_HERE = Path(__file__).parent
LOCK = _HERE / "requirements.lock"
_FOLDER = _HERE / ".venv"
PYTHON = _FOLDER / "bin" / "python"
_STAMP = _FOLDER / "stamp"


class PeersUnavailableError(Exception):
    """The peers' packages cannot be installed."""


def make_environment() -> None:
    """Have the virtual environment hold just what the lock names. Raises PeersUnavailableError."""
    wanted = f"{sys.version}\n{LOCK.read_text()}"
    if PYTHON.exists() and _STAMP.exists() and _STAMP.read_text() == wanted:
        return
    with step("Installing the peers' packages into a virtual environment of their own"):
        shutil.rmtree(_FOLDER, ignore_errors=True)
        try:
            venv.create(_FOLDER, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PeersUnavailableError(f"{_FOLDER} cannot be made a virtual environment: {error}") from error
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement")
        done = subprocess.run((PYTHON, *pip, LOCK), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise PeersUnavailableError(f"pip could not install {LOCK} into {_FOLDER}: {why}")
    _STAMP.write_text(wanted)
