"""Ports for servers of our own: who asks gets one that nobody else has been given, in this process or another."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.servers import Unavailable, place

ROOT = Path(__file__).parents[2]
ASKING = """
import sys
from deploy.servers import place
port = int(sys.argv[1])
place.PORTS = range(port, port + 1)
print(next(place.free_ports()))
"""


def ask_elsewhere(port: int) -> str:
    command = [sys.executable, "-c", ASKING, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.strip() or done.stderr.splitlines()[-1]


def test_a_port_is_handed_out_once_and_can_be_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    port = next(place.free_ports())

    monkeypatch.setattr(place, "PORTS", range(port, port + 1))
    with pytest.raises(Unavailable, match=f"no free port from {port}"):
        next(place.free_ports())
    assert f"no free port from {port}" in ask_elsewhere(port)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(place, "PORTS", range(port, port + 1))
        with pytest.raises(Unavailable):
            next(place.free_ports())
        assert "no free port" in ask_elsewhere(port)
