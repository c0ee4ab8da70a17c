"""What a registration means, as a hash: two messages mean the same exactly where their fingerprints are equal.

Bytes may differ: 710, 710.00 and "710.00" are one amount, a field left out is a field that is null, and the order in
an object says nothing. A field that a later release adds must be left out here while it is absent, so that
fingerprints kept for years still fit.
"""

import hashlib
import json

from schemas.registration import Registration


def fingerprint(registration: Registration) -> bytes:
    """Return the SHA-256 of the registration's meaning: 32 bytes."""
    meaning = {
        "source": registration.source,
        "currency": registration.currency,
        "paydate": registration.paydate.isoformat(),
        "type": registration.payment_type,
        "details": dict(registration.details),
        "lines": [[dict(line.identifiers), line.amount_minor, dict(line.references)] for line in registration.lines],
    }
    said = {name: value for name, value in meaning.items() if value not in (None, {})}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).digest()
