"""Log and metrics. Neither ever holds a body, a free text or a secret: counts, names, reasons and ids only."""

import logging
import sys
import traceback
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from worker.domain.errors import WorkerError

log: Final[structlog.stdlib.BoundLogger] = structlog.get_logger("payment-worker")

DELIVERIES: Final = Counter("payment_worker_deliveries", "Messages taken from a queue and done with", ["queue"])
OUTCOMES: Final = Counter("payment_worker_outcomes", "Outcome events committed, by status", ["status"])
REPLAYS: Final = Counter("payment_worker_replays", "Requests answered with the event of their booking once more")
DEAD_LETTERS: Final = Counter("payment_worker_dead_letters", "Messages sent to the dead letters, by reason", ["reason"])
RETRIES: Final = Counter("payment_worker_retries", "Messages sent to wait for another attempt", ["queue"])
PUBLISHED: Final = Counter("payment_worker_published", "Outcome messages confirmed by the broker")
UNROUTED: Final = Counter("payment_worker_unrouted", "Confirmed messages that no queue was bound for", ["kind"])
OUTAGES: Final = Counter("payment_worker_outages", "Times a server was found to be away", ["noticed_by"])
BATCH_MESSAGES: Final = Histogram(
    "payment_worker_batch_messages", "Messages in a batch", ["queue"], buckets=(1, 2, 5, 10, 25, 50, 100, 150, 200, 250)
)
BATCH_SECONDS: Final = Histogram(
    "payment_worker_batch_seconds",
    "From taking a batch to its acknowledgement",
    ["queue"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30),
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
    # The driver logs each lost connection with a traceback; the worker says the same in a line.
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def named(error: BaseException) -> str:
    """Name an unexpected error by its type and place, without its text, which could quote a message."""
    if isinstance(error, WorkerError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
