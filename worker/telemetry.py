"""Log and metrics. Neither ever holds a body, a free text or a secret: counts, names, reasons and ids only."""

import asyncio
import logging
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

import schemas
from worker.domain.errors import WorkerError

_OURS: Final = {Path(__file__).parent, Path(schemas.__file__).parent}

log: Final[structlog.stdlib.BoundLogger] = structlog.get_logger("payment-worker")

DELIVERIES: Final = Counter("payment_worker_deliveries", "Messages taken from a queue and done with", ["queue"])
OUTCOMES: Final = Counter("payment_worker_outcomes", "Outcome events committed, by status", ["status"])
REPLAYS: Final = Counter("payment_worker_replays", "Requests answered with the event of their booking once more")
DEAD_LETTERS: Final = Counter("payment_worker_dead_letters", "Messages sent to the dead letters, by reason", ["reason"])
RETRIES: Final = Counter("payment_worker_retries", "Messages sent to wait for another attempt", ["queue"])
PUBLISHED: Final = Counter("payment_worker_published", "Outcome messages confirmed by the broker")
REFUSED: Final = Counter(
    "payment_worker_refused", "Outcome messages that the broker did not take; they are tried again"
)
UNROUTED: Final = Counter("payment_worker_unrouted", "Confirmed messages that no queue was bound for", ["kind"])
OUTAGES: Final = Counter("payment_worker_outages", "Times a server was found to be away", ["noticed_by"])
BATCH_MESSAGES: Final = Histogram(
    "payment_worker_batch_messages", "Messages in a batch", ["queue"], buckets=(1, 2, 5, 10, 25, 50, 100, 150, 200, 250)
)
BATCH_SECONDS: Final = Histogram(
    "payment_worker_batch_seconds",
    "From having a batch in hand to its acknowledgement, without what was done of it ahead",
    ["queue"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30),
)
AUDIT_FINDINGS: Final = Gauge(
    "payment_worker_audit_findings",
    "What does not add up, by kind, as of the last whole round of the audit, or already more in this one",
    ["kind"],
)
AUDIT_CHECKED: Final = Counter("payment_worker_audit_checked", "Rows that the audit has looked at", ["table"])
AUDIT_ROUNDS: Final = Counter("payment_worker_audit_rounds", "Whole rounds of the audit")
AUDIT_ROUND_ENDED: Final = Gauge(
    "payment_worker_audit_round_ended_timestamp_seconds", "When the audit's last whole round ended; 0 before the first"
)
AUDIT_ROUND_SECONDS: Final = Gauge("payment_worker_audit_round_seconds", "How long the audit's last whole round took")
AUDIT_ACTIVE: Final = Gauge("payment_worker_audit_active", "1 in the worker, of all, that audits the books")
AUDIT_STEPPED_OVER: Final = Counter(
    "payment_worker_audit_stepped_over", "Rows left out by the audit: too much for a slice, or unfit"
)
READY: Final = Gauge("payment_worker_ready", "1 while both servers are there and messages are being taken")


def configure_logging(level: str, log_format: str) -> None:
    """Send the log to standard error, a line an event."""
    renderer: structlog.typing.Processor
    renderer = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _hold_back_texts()
    # The driver logs each lost connection with a traceback; the worker says the same in a line.
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _hold_back_texts() -> None:
    """Have what nobody caught told like all else, by its type and place. Python would print its text too."""
    logging.basicConfig(handlers=[_Library()], level=logging.WARNING)
    sys.unraisablehook = lambda found: _tell_uncaught("in a destructor", found.exc_value)
    threading.excepthook = lambda found: _tell_uncaught("in a thread", found.exc_value)


def tell_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell of an exception that no task waited for: an event loop's exception handler."""
    _tell_uncaught("in the event loop", context.get("exception"))


def _tell_uncaught(where: str, error: BaseException | None) -> None:
    log.error("uncaught", where=where, error="unknown" if error is None else named(error))


class _Library(logging.Handler):
    """Tells what a library logs, without what it fills in: that may be part of a message."""

    def emit(self, record: logging.LogRecord) -> None:
        said = str(record.msg) if record.args else f"at {record.filename}:{record.lineno}"
        error = record.exc_info[1] if record.exc_info else None
        more = {} if error is None else {"error": named(error)}
        log.warning("library", logger=record.name, said=said, **more)


def named(error: BaseException) -> str:
    """Name an unexpected error by its type and where in our own code it arose, without its text.

    That could quote a message.
    """
    if isinstance(error, WorkerError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _OURS.isdisjoint(Path(frame.filename).parents)]
    place = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in (own or frames)[-1:])
    sqlstate = getattr(error, "sqlstate", None)
    return f"{type(error).__name__}{f' (SQLSTATE {sqlstate})' if sqlstate else ''}{place}"
