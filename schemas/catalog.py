"""The names on the wire: exchanges, queues, message types, headers, and which type travels where."""

import re
from dataclasses import dataclass
from typing import Final

from schemas.fields import WireModel
from schemas.invoice import InvoicePut
from schemas.sources import SOURCES
from schemas.sources.ropo import ROPO
from schemas.wallet import WalletPut

PAYMENTS: Final = "payments"
OUTCOMES: Final = "payments.outcomes"
DEAD_LETTER: Final = "payments.dead-letter"
REGISTRATIONS_QUEUE: Final = "payments.registrations"
INVOICES_QUEUE: Final = "payments.invoices"
DEAD_LETTERS_QUEUE: Final = "payments.dead-letters"

DEFAULT_TYPE: Final = ROPO.message_type
"""What a registration without the AMQP property `type` is read as."""
INVOICE_PUT: Final = "invoice.put.v1"
WALLET_PUT: Final = "wallet.put.v1"
CONTENT_TYPE: Final = "application/json"

KEY_HEADER: Final = "idempotency-key"
STATUS_HEADER: Final = "statusid"
SOURCE_HEADER: Final = "source-type"
REPLAYED_HEADER: Final = "replayed"
TRACE_HEADERS: Final = ("traceparent", "tracestate")

COMPANY_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,62}"
_COMPANY = re.compile(COMPANY_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True)
class MessageType:
    """A message that the worker takes: its model and the first word of its routing key; the second is the company."""

    name: str
    model: type[WireModel]
    topic: str


TYPES: Final[dict[str, MessageType]] = {
    **{name: MessageType(name, source.model, "registration") for name, source in SOURCES.items()},
    INVOICE_PUT: MessageType(INVOICE_PUT, InvoicePut, "invoice"),
    WALLET_PUT: MessageType(WALLET_PUT, WalletPut, "invoice"),
}


def routing_key(message_type: str, company: str) -> str:
    """Return the key under which a message of that type is published for that company."""
    return f"{TYPES[message_type].topic}.{company}"


def outcome_key(company: str, status: str) -> str:
    """Return the key under which an outcome is published: outcome.<company>.<status>."""
    return f"outcome.{company}.{status.lower()}"


def is_company(name: str) -> bool:
    """Say whether the name can be a company's: lower-case letters, digits and hyphens, 63 at most."""
    return _COMPANY.fullmatch(name) is not None
