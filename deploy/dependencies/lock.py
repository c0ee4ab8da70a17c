"""requirements.lock against pyproject.toml: all that is needed, each at one version, each held by its hashes."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)( ; (?P<marker>[^\\]+?))?( \\)?")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


@dataclass(frozen=True)
class Pin:
    """A package at one version."""

    name: str
    version: str
    is_for_here: bool
    """False where its marker names another platform or Python."""
    hashes: int


def read_lock(path: Path) -> tuple[dict[str, Pin], list[str]]:
    """Return the pins by name, and what is wrong: a line that is neither pin nor hash, a pin twice or without hash."""
    pins: dict[str, Pin] = {}
    wrong: list[str] = []
    hashes: dict[str, int] = {}
    name = ""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if (pin := _PIN.fullmatch(line)) is not None:
            name = canonicalize_name(pin["name"])
            if name in pins:
                wrong.append(f"{path.name}:{number}: {name} stands there twice")
            marker = pin["marker"]
            is_for_here = marker is None or Marker(marker).evaluate()
            pins[name] = Pin(name, pin["version"], is_for_here, 0)
            hashes[name] = 0
        elif _HASH.fullmatch(line) is not None and name:
            hashes[name] += 1
        else:
            wrong.append(f"{path.name}:{number}: is neither a package at one version nor a SHA-256 of one")
    wrong += [f"{path.name}: {name} has no hash" for name, count in hashes.items() if not count]
    return {name: Pin(name, pin.version, pin.is_for_here, hashes[name]) for name, pin in pins.items()}, wrong


def disagreements(project: Path, lock: Path) -> list[str]:
    """Return where the two files disagree, with each other or with what is installed; no network is asked."""
    pins, wrong = read_lock(lock)
    needed: dict[str, set[str]] = {}
    waiting = list(_asked(project))
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), requirement.extras | {""}
        new = extras - needed.setdefault(name, set())
        pin = pins.get(name)
        if pin is None:
            wrong.append(f"{lock.name}: lacks {requirement}")
        elif not requirement.specifier.contains(pin.version, prereleases=True):
            wrong.append(f"{lock.name}: {name} {pin.version} is not {requirement}")
        elif new:
            needed[name] |= new
            waiting += _needed_by(name, new)
    unasked = [name for name, pin in pins.items() if pin.is_for_here and name not in needed]
    return sorted({*wrong, *(f"{lock.name}: nothing needs {name}" for name in unasked)})


def _asked(project: Path) -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for on this platform: to run, to test, and to build."""
    said = tomllib.loads(project.read_text())
    extras = said["project"].get("optional-dependencies", {})
    lines = [*said["project"]["dependencies"], *(line for extra in extras.values() for line in extra)]
    for line in [*lines, *said["build-system"]["requires"]]:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def _needed_by(name: str, extras: set[str]) -> Iterator[Requirement]:
    """Yield what an installed package needs; nothing of one that is not installed: the lock alone cannot say."""
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for line in lines:
        requirement = Requirement(line)
        marker = requirement.marker
        environments = [{**default_environment(), "extra": extra} for extra in extras]
        if marker is None or any(marker.evaluate(environment) for environment in environments):  # type: ignore[arg-type]
            yield requirement
