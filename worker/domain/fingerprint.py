"""What a registration means, as a hash: two messages mean the same exactly where their fingerprints are equal.

Bytes may differ: 710, 710.00 and "710.00" are one amount, a field left out is a field that is null, and the order in
an object says nothing. A field that a later release adds must be left out here while it is absent, so that
fingerprints kept for years still fit.
"""

import hashlib
import json

from schemas.money import to_text
from schemas.registration import Registration


def _plain(amount_minor: int, currency: str) -> str:
    """Return the amount as it reads in any currency: the company's may change, and the message means what it meant."""
    text = to_text(amount_minor, currency)
    return text.rstrip("0").rstrip(".") if "." in text else text


def fingerprint(registration: Registration) -> bytes:
    """Return the SHA-256 of the registration's meaning: 32 bytes."""
    meaning = {
        "source": registration.source,
        "currency": registration.currency if registration.states_currency else None,
        "paydate": registration.paydate.isoformat(),
        "type": registration.payment_type,
        "details": dict(registration.details),
        "lines": [
            [dict(line.identifiers), _plain(line.amount_minor, registration.currency), dict(line.references)]
            for line in registration.lines
        ],
    }
    said = {name: value for name, value in meaning.items() if value not in (None, {})}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).digest()
