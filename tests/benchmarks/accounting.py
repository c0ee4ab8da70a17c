"""Where the cores go: CPU and memory of whole process trees, as Linux counts them."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from deploy.servers import Server, Servers
from deploy.servers.native import NativeServer

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PARENT = 1
_TIMES = slice(11, 15)
"""Fields of /proc/<pid>/stat after the command's name: the parent, and the CPU of itself and of children that ended."""


class Accounts:
    """The CPU time of the two servers and of whoever is measured."""

    def __init__(self, servers: Servers) -> None:
        self._roots = {"postgres": _root(servers.database), "rabbitmq": _root(servers.broker)}

    def processes(self, of: Iterable[int] | str) -> list[int]:
        """Return the processes of a server by its name, or these, with all that descend from them."""
        roots = [self._roots[of]] if isinstance(of, str) else of
        return _family(dict(_processes()), [pid for pid in roots if pid is not None])

    def cpu_s(self, pids: Iterable[int]) -> dict[str, float]:
        """Return the seconds that each has used so far; the processes count as "program"."""
        roots = {"program": list(pids)} | {name: [pid] for name, pid in self._roots.items() if pid is not None}
        table = dict(_processes())
        return {name: sum(table[pid].used_s for pid in _family(table, pids)) for name, pids in roots.items()}


def cpu_us_each(before: Mapping[str, float], after: Mapping[str, float], count: int) -> dict[str, float]:
    """Return the microseconds of CPU that each of so many payments took, by who used them."""
    return {name: round((after[name] - before[name]) / count * 1e6, 1) for name in before}


def resident_mib(pids: Iterable[int], *, peak: bool = False) -> float:
    """Return how much memory the processes and theirs have resident, or had at most, each for itself."""
    return round(sum(_resident_mib(pid, peak=peak) for pid in _family(dict(_processes()), pids)), 1)


def _resident_mib(pid: int, *, peak: bool) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def _root(server: Server) -> int | None:
    """Return the process whose tree the server is; None where this machine does not show it."""
    if isinstance(server, NativeServer):
        return server.running().pid
    container = getattr(server, "container", None)
    if container is None:
        return None
    running = container.get_wrapped_container()
    running.reload()
    pid = int(running.attrs["State"]["Pid"])
    return pid if Path(f"/proc/{pid}").exists() else None


class _Process(NamedTuple):
    parent: int
    used_s: float
    """CPU of itself, and of its children that have ended."""


def _processes() -> Iterator[tuple[int, _Process]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            fields = stat.rpartition(")")[2].split()
            yield int(folder.name), _Process(int(fields[_PARENT]), sum(map(int, fields[_TIMES])) / _TICKS_PER_S)


def _family(table: Mapping[int, _Process], roots: Iterable[int]) -> list[int]:
    """Return those of the processes that there are, and all that descend from them."""
    found = [pid for pid in roots if pid in table]
    for pid in found:  # grows on the way
        found += [child for child, process in table.items() if process.parent == pid]
    return found
