"""/livez, /readyz and /metrics on one port, from a thread of their own so that a busy worker still answers."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from worker.limits import BEAT_AGE_MAX_S

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(slots=True)
class Health:
    """What the worker knows of itself: written by its event loop, read by the server's thread."""

    waiting_for: Callable[[], list[str]] = field(default=lambda: ["start"])
    """What keeps it from taking messages; nothing when ready."""
    last_beat: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Say that the event loop turns."""
        self.last_beat = time.monotonic()

    @property
    def is_alive(self) -> bool:
        return time.monotonic() - self.last_beat < BEAT_AGE_MAX_S


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """Leave probes out of the log."""


class HealthServer:
    """Serves the three paths while it is entered. Raises OSError where the port is taken."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._health = health
        self._metrics = make_wsgi_app()
        self._server = make_server(host, port, self._answer, ThreadingWSGIServer, _QuietHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/livez":
                alive = self._health.is_alive
                return _text(start_response, alive, "alive" if alive else "the event loop does not turn")
            case "/readyz":
                missing = self._health.waiting_for()
                return _text(
                    start_response, not missing, "ready" if not missing else "waiting for " + ", ".join(missing)
                )
            case "/metrics":
                metrics: Iterable[bytes] = self._metrics(environ, start_response)
                return metrics
            case _:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [b"/livez /readyz /metrics\n"]


def _text(start_response: "StartResponse", good: bool, text: str) -> list[bytes]:  # noqa: FBT001
    status = "200 OK" if good else "503 Service Unavailable"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]
