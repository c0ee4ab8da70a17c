"""Every limit on what comes from outside, with its unit. The worker's own are in worker/limits.py."""

BODY_BYTES_MAX = 64 * 1024
"""A message body (contract, section 2)."""

NESTING_LEVELS_MAX = 64
"""Objects and lists inside one another. No message needs ten; a parser's stack ends at about a thousand."""

IDEMPOTENCY_KEY_CHARS_MAX = 255
"""An idempotency key (contract, section 2); also what AMQP allows a message_id."""

AMOUNT_DIGITS_MAX = 15
"""Digits of an amount, before and after the point together."""

AMOUNT_MINOR_MAX = 2**63 - 1
"""What Postgres holds in a bigint. Amounts of 15 digits exceed it only where the minor unit has four (CLF, UYW)."""

PERCENT_MAX = 100
"""A surcharge or a tolerance, in percent."""

LINES_MAX = 500
"""Lines of a payment."""

DETAILS_MAX = 50
"""Other things that a canonical payment says of itself, and documents that a line of it points at."""

OUTCOME_BYTES_MAX = 512 * 1024
"""An outcome event. More than a payment of LINES_MAX lines needs, unless names are very long, and half of what the
README asks the broker to take."""

IDENTIFIER_CHARS_MAX = 255
"""A billcode, a bill number, a reference: whatever names a thing."""

TEXT_CHARS_MAX = 4_000
"""Free text such as a description."""

INTEGER_ID_MAX = 2**63 - 1
"""A jobid, an iVvy invoice id, a version: what Postgres holds in a bigint."""

INTEGER_DIGITS_MAX = 19
"""Digits of an INTEGER_ID_MAX. A longer run of digits is never made an int, which takes quadratic time."""

TEXTS_KEPT = 4_096
"""Amounts whose text is kept ready, since most of a day's are alike."""

FIELD_ERRORS_MAX = 20
"""Field errors told of one message; the rest is only counted."""

TRACE_CHARS_MAX = 512
"""A traceparent or tracestate header (W3C Trace Context asks for at least this much of a tracestate)."""
