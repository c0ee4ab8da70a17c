"""What a failure is told as: one line that says what happened, where, and what to do. No secret, no traceback."""

import ssl
import traceback
from pathlib import Path

import asyncpg

from schemas.invalid import InvalidMessageError, MalformedJsonError
from worker.domain.errors import ContendedError, LinkLostError, TransientError, UnavailableError, WorkerError
from worker.settings import SettingsError

_SETUP_MISSING = ("NOT_FOUND", "`payment-worker setup`")
_VHOST_REFUSED = "Expected one of ['Connection.OpenOk']"
"""How the driver puts that the broker closes the connection when the vhost is asked for."""

_RIGHT_LACKS = (
    "The login in PAYMENT_WORKER_DATABASE_URL lacks the right: the README says which role may do what, "
    "and `setup` is its owner's to run"
)


def explain(error: BaseException) -> str:
    """Return the line for whatever a command raised."""
    said = " ".join(str(error).split())
    match error:
        case SettingsError():
            return f"settings: {said.replace('Field required', 'is not set')}"
        case ContendedError() | TransientError():
            return f"{said}: someone else was writing the same rows. Nothing was changed; run the command again"
        case LinkLostError() if _VHOST_REFUSED in said:
            return "RabbitMQ: the vhost in PAYMENT_WORKER_AMQP_URL does not exist, or is not open to its user"
        case LinkLostError() | UnavailableError(__cause__=LinkLostError()):
            return f"RabbitMQ: {said.removeprefix('RabbitMQ: ').rstrip('.')}. {_broker_advice(said)}"
        case UnavailableError():
            return f"{said}. {_advice(said, error.__cause__)}"
        case WorkerError() | InvalidMessageError() | MalformedJsonError():
            return said
        case asyncpg.PostgresError():
            # The server's detail line would quote the row.
            refused = f"Postgres refuses: {error.args[0] if error.args else said} (SQLSTATE {error.sqlstate})"
            return f"{refused}. {_RIGHT_LACKS}" if isinstance(error, asyncpg.InsufficientPrivilegeError) else refused
        case OSError() if error.filename is not None:
            return f"{error.filename}: {error.strerror or type(error).__name__}"
        case OSError():
            return f"{said or 'timed out'}: a server cannot be reached; `payment-worker doctor` says which"
        case _:
            return f"unexpected {type(error).__name__} in {_place(error)}: please report it"


def _broker_advice(said: str) -> str:
    if "TLS: " in said:
        return "See cafile, certfile and keyfile in PAYMENT_WORKER_AMQP_URL, and the host in it"
    if any(hint in said for hint in _SETUP_MISSING):
        return "Run `payment-worker setup`"
    if "ACCESS_REFUSED" in said or "NOT_ALLOWED" in said:
        return "Check user, password and vhost in PAYMENT_WORKER_AMQP_URL, and the user's permissions"
    return "Is it running, and is PAYMENT_WORKER_AMQP_URL right? `payment-worker doctor` says more"


def _advice(said: str, cause: BaseException | None) -> str:
    if any(hint in said for hint in _SETUP_MISSING):
        return "Run `payment-worker setup`"
    if said.startswith("RabbitMQ"):
        return "Is it short of memory or disk? Publishing again books nothing twice"
    match cause:
        case ssl.SSLError():
            return "See sslmode, sslrootcert, sslcert and sslkey in PAYMENT_WORKER_DATABASE_URL, and the host in it"
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            return "Run `payment-worker setup`"
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            return "Check user, password and database in PAYMENT_WORKER_DATABASE_URL"
        case asyncpg.InsufficientPrivilegeError():
            return _RIGHT_LACKS
        case _:
            return "Is it running, and is PAYMENT_WORKER_DATABASE_URL right? `payment-worker doctor` says more"


def _place(error: BaseException) -> str:
    """Return file and line of the innermost frame: enough for a report, with nothing of the data."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
