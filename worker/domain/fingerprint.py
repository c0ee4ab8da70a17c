"""What a registration means, as a hash: two messages that say the same have the same fingerprint.

Bytes may differ: 710, 710.00 and "710.00" are one amount, a field left out is a field that is null, and the order in
an object says nothing. A field that a later release adds must be left out here while it is absent, so that
fingerprints kept for years still fit.
"""

import hashlib
import json

from schemas.money import plain_text, to_text
from schemas.registration import Cancellation, Registration

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _plain(amount_minor: int, currency: str) -> str:
    """Return the amount as it reads in any currency: the company's may change, and the message means what it meant."""
    text = to_text(amount_minor, currency)
    return text.rstrip("0").rstrip(".") if "." in text else text


def fingerprint(asked: Registration | Cancellation) -> bytes:
    """Return the SHA-256 of what a registration or cancellation means: 32 bytes."""
    meaning = _of_cancellation(asked) if isinstance(asked, Cancellation) else _of_registration(asked)
    said = {name: value for name, value in meaning.items() if value is not None and value is not False and value != {}}
    return hashlib.sha256(_ENCODER.encode(said).encode()).digest()


def _of_cancellation(cancellation: Cancellation) -> dict[str, object]:
    # Whatever is said to be why, it is the same payment that is cancelled.
    return {"source": cancellation.source, "payment": cancellation.payment_key}


def _of_registration(registration: Registration) -> dict[str, object]:
    currency = registration.currency
    total, surcharge = registration.total_minor, registration.surcharge_minor
    return {
        "source": registration.source,
        "currency": currency if registration.states_currency else None,
        "paydate": registration.paydate.isoformat() if registration.states_paydate else None,
        "type": registration.payment_type,
        "method": registration.method,
        "total": _plain(total, currency) if total is not None else None,
        "account": registration.account,
        "wallet": registration.wallet,
        "write_off": registration.is_write_off,
        "surcharge": _plain(surcharge, currency) if surcharge else None,
        # As it is stated: what it comes to depends on the currency, and the company's may change.
        "surcharge_percent": plain_text(registration.surcharge_percent) if registration.surcharge_percent else None,
        "cancelled": registration.is_cancelled,
        "gateway": registration.charges_gateway,
        "refuses_overpayment": registration.refuses_overpayment,
        "allocation": registration.allocation,
        "distribution": registration.distribution,
        "details": dict(registration.details),
        "lines": [
            [
                dict(line.identifiers),
                _plain(line.amount_minor, currency) if line.amount_minor is not None else None,
                dict(line.references),
            ]
            for line in registration.lines
        ],
    }
