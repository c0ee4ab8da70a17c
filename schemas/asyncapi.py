"""The AsyncAPI document: which message travels where, from the worker's point of view. Made of the catalog."""

from pathlib import Path
from typing import Any, Final

from schemas import catalog
from schemas.codec import read_json
from schemas.limits import BODY_BYTES_MAX, IDEMPOTENCY_KEY_CHARS_MAX, TRACE_CHARS_MAX
from schemas.outcome import OUTCOME_TYPE, Status
from schemas.sources import SOURCES

EXAMPLES: Final = Path(__file__).parent / "examples"
"""A folder for each message type, a file for each message."""

_CONTRACT_VERSION = "1.1.0"
_AMQP: Final = {"bindingVersion": "0.3.0"}
_TRACE = {
    name: {"type": "string", "maxLength": TRACE_CHARS_MAX, "description": "W3C Trace Context, carried on."}
    for name in catalog.TRACE_HEADERS
}
_COMPANY = {
    "company": {
        "description": f"The tenant, from the routing key alone: {catalog.COMPANY_PATTERN}",
        "examples": ["acme"],
    }
}
_KEY = {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX}

Json = dict[str, Any]


def document() -> Json:
    """Return the AsyncAPI 3.0 document. Payloads refer to the JSON Schema files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "payment-worker",
            "version": _CONTRACT_VERSION,
            "description": "Registers payments against invoices and tells what became of each. "
            f"Bodies are JSON in UTF-8, {BODY_BYTES_MAX} bytes at most; unknown fields are ignored. "
            "The AMQP property type names the message.",
        },
        "defaultContentType": catalog.CONTENT_TYPE,
        "servers": {"rabbitmq": _server()},
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": {name: _message_in(name) for name in catalog.TYPES} | {OUTCOME_TYPE: _outcome_message()},
            "securitySchemes": {"user": {"type": "userPassword", "description": "A user of the broker."}},
        },
    }


def _server() -> Json:
    return {
        "host": "{host}:{port}",
        "pathname": "/{vhost}",
        "protocol": "amqp",
        "protocolVersion": "0-9-1",
        "description": "RabbitMQ, from 3.10 on.",
        "variables": {
            "host": {"description": "Where the broker listens; each installation has its own."},
            "port": {"default": "5672"},
            "vhost": {"default": "%2F", "description": "Percent-encoded."},
        },
        "security": [_ref("components", "securitySchemes", "user")],
    }


def _channels() -> Json:
    outcome = {OUTCOME_TYPE: _ref("components", "messages", OUTCOME_TYPE)}
    status = {
        "description": "What became of the registration, in lower case.",
        "enum": [member.name.lower() for member in Status],
    }
    return {
        "registrations": _channel(
            catalog.PAYMENTS,
            "registration.{company}",
            f"Payments to be registered. The worker reads them from the queue {catalog.REGISTRATIONS_QUEUE}.",
            _COMPANY,
            _types_of("registration"),
        ),
        "invoices": _channel(
            catalog.PAYMENTS,
            "invoice.{company}",
            "Invoices and wallets as their owner states them. "
            f"The worker reads them from the queue {catalog.INVOICES_QUEUE}.",
            _COMPANY,
            _types_of("invoice"),
        ),
        "outcomes": _channel(
            catalog.OUTCOMES,
            "outcome.{company}.{status}",
            "What became of each registration. Bind a queue of your own.",
            _COMPANY | {"status": status},
            outcome,
        ),
        "replies": {
            "address": None,
            "description": "A copy of the outcome, through the default exchange to the queue that the AMQP property "
            "reply_to of the registration names.",
            "messages": outcome,
        },
        "deadLetters": _dead_letters(),
    }


def _dead_letters() -> Json:
    topics = sorted({each.topic for each in catalog.TYPES.values()})
    return _channel(
        catalog.DEAD_LETTER,
        "{topic}.{company}",
        "What cannot be processed, under the routing key that it came with. "
        f"The queue {catalog.DEAD_LETTERS_QUEUE} takes all of it, and the worker files it for the operators.",
        {"topic": {"description": "What the message was to be when it came.", "enum": topics}} | _COMPANY,
        {
            "deadLetter": {
                "title": "A message that could not be processed",
                "contentType": "application/octet-stream",
                "description": "Body and properties as they came, byte for byte. "
                "Headers of the worker's, or the broker's x-death, say why.",
            }
        },
    )


def _channel(exchange: str, address: str, description: str, parameters: Json, messages: Json) -> Json:
    bound = {"name": exchange, "type": "topic", "durable": True, "autoDelete": False}
    return {
        "address": address,
        "description": f"Exchange {exchange}. {description}",
        "parameters": parameters,
        "messages": messages,
        "bindings": {"amqp": {"is": "routingKey", "exchange": bound} | _AMQP},
    }


def _operations() -> Json:
    taken: Json = {"amqp": {"ack": True} | _AMQP}
    sent: Json = {"amqp": {"deliveryMode": 2, "mandatory": True} | _AMQP}
    return {
        "receiveRegistration": {
            "action": "receive",
            "channel": _ref("channels", "registrations"),
            "summary": "Book a payment, once however often it comes.",
            "bindings": taken,
            "reply": {"channel": _ref("channels", "replies")},
        },
        "receiveInvoice": {
            "action": "receive",
            "channel": _ref("channels", "invoices"),
            "summary": "Create or update an invoice.",
            "bindings": taken,
        },
        "sendOutcome": {
            "action": "send",
            "channel": _ref("channels", "outcomes"),
            "summary": "Tell what became of a registration.",
            "bindings": sent,
        },
        "sendDeadLetter": {
            "action": "send",
            "channel": _ref("channels", "deadLetters"),
            "summary": "Put aside what cannot be processed.",
            "bindings": sent,
        },
        "receiveDeadLetter": {
            "action": "receive",
            "channel": _ref("channels", "deadLetters"),
            "summary": "File it for the operators, who look at it, mend, replay or discard it.",
            "bindings": taken,
        },
    }


def _types_of(topic: str) -> Json:
    return {name: _ref("components", "messages", name) for name, each in catalog.TYPES.items() if each.topic == topic}


def _message_in(name: str) -> Json:
    said = [f"AMQP properties: type {name}, content_type {catalog.CONTENT_TYPE} or none."]
    headers = _TRACE
    if name in SOURCES:
        field = SOURCES[name].key_field
        places = [f"the header {catalog.KEY_HEADER}", *([f"the field {field}"] if field else []), "message_id"]
        said.append(f"Its idempotency key is the first of: {', '.join(places)}.")
        headers = {catalog.KEY_HEADER: _KEY} | headers
    if name == catalog.DEFAULT_TYPE:
        said.append("A registration without the property type is read as this.")
    return _message(name, " ".join(said), {"type": "object", "properties": headers})


def _outcome_message() -> Json:
    own = {
        catalog.KEY_HEADER: _KEY,
        catalog.STATUS_HEADER: {"type": "integer", "enum": [member.value for member in Status]},
        catalog.SOURCE_HEADER: {"type": "string", "description": "The message type that the registration came as."},
        catalog.REPLAYED_HEADER: {"type": "boolean", "description": "True where the same event is published again."},
    }
    properties = f"type {OUTCOME_TYPE}, content_type {catalog.CONTENT_TYPE}, message_id the event_id"
    headers = {"type": "object", "required": list(own), "properties": own | _TRACE}
    return _message(OUTCOME_TYPE, f"Persistent. AMQP properties: {properties}.", headers)


def _message(name: str, description: str, headers: Json) -> Json:
    return {
        "name": name,
        "title": name,
        "description": description,
        "contentType": catalog.CONTENT_TYPE,
        "headers": headers,
        "correlationId": {
            "location": "$message.header#/correlation_id",
            "description": "The AMQP property correlation_id; an outcome has that of its registration.",
        },
        "payload": {"$ref": f"./{name}.json"},
        "bindings": {"amqp": {"contentEncoding": "utf-8", "messageType": name} | _AMQP},
        "examples": [
            {"name": path.stem, "payload": read_json(path.read_bytes())}
            for path in sorted((EXAMPLES / name).glob("*.json"))
        ],
    }


def _ref(*path: str) -> Json:
    return {"$ref": "#/" + "/".join(path)}
