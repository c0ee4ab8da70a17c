"""Why work on a message did not come to its end.

    WorkerError
    ├── PermanentError       the same message will fail again, so it becomes a dead letter
    │   └── RefusedError     it cannot be processed; carries the dead letter's reason
    ├── TransientError       the same message may succeed in a moment
    │   └── ContendedError   another worker was at the same rows; trying again at once will do
    │       ├── LockTimeoutError   another session kept the rows locked; trying again at once may do
    │       └── PolicyChangedError a company's policy has changed meanwhile; trying again goes by the new one
    ├── DeadlineError        the worker was stopped and had not finished in time; what was in hand will come again
    └── UnavailableError     a server is away: no message's fault, and none is charged an attempt
        ├── LinkLostError    the connection to RabbitMQ ended; what is unacknowledged will come again
        └── UnconfirmedError RabbitMQ did not confirm a message in time; it may have been published or not

Business refusals (invoice closed, overpayment) are no errors: they are verdicts, and are answered.
"""

from collections.abc import Sequence
from enum import StrEnum

from schemas.invalid import FieldError, in_words


class WorkerError(Exception):
    """The root of what the worker itself raises."""


class PermanentError(WorkerError):
    """Will fail again however often it is tried."""


class TransientError(WorkerError):
    """May succeed when tried again."""


class ContendedError(TransientError):
    """Another worker wrote the same key or invoice first; what was written here has been rolled back."""


class LockTimeoutError(ContendedError):
    """Another session kept a row locked for longer than is waited for; what was written here has been rolled back."""


class PolicyChangedError(ContendedError):
    """A company's policy is another one by now than what was worked out goes by; nothing was written."""


class UnavailableError(WorkerError):
    """RabbitMQ or Postgres cannot be reached or refuses to work."""


class LinkLostError(UnavailableError):
    """The connection to RabbitMQ, or a channel of it, has ended; its deliveries are void and will come again."""


class UnconfirmedError(UnavailableError):
    """RabbitMQ did not confirm a message in time: it may have been published or not."""


class DeadlineError(WorkerError):
    """The worker was stopped and the deadline passed before all in hand was finished; that will be delivered again."""


class DeadLetterReason(StrEnum):
    """Why a message became a dead letter (contract, section 6)."""

    MALFORMED_JSON = "malformed_json"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    TOO_LARGE = "too_large"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_COMPANY = "unknown_company"
    INVALID = "invalid"
    MISSING_IDEMPOTENCY_KEY = "missing_idempotency_key"
    POISON = "poison"
    DELIVERY_LIMIT = "delivery_limit"


class RefusedError(PermanentError):
    """The message cannot be processed. `text` says why, `errors` says it field by field; neither holds a value."""

    def __init__(self, reason: DeadLetterReason, text: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.errors = errors

    @classmethod
    def invalid(cls, errors: Sequence[FieldError]) -> "RefusedError":
        """Return that of a message whose fields do not hold what they have to."""
        return cls(DeadLetterReason.INVALID, in_words(errors), tuple(errors))
