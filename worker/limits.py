"""Every limit on what the worker itself holds, tries and waits for, with its unit and why it has its value.

What comes from outside is limited in schemas/limits.py.
"""

BATCH_MESSAGES_MAX = 250
"""Messages settled in one transaction. The database alone gains nothing above 100 to 250."""
BATCH_BYTES_MAX = 256 * 1024
"""Bodies of a batch together. What long messages ask for takes a second or two, and the heartbeat waits for it."""
PREFETCH_MESSAGES = 500
"""Deliveries a lane holds unacknowledged: one batch at work and one ready. A quorum queue allows 2,000."""
RELAY_WINDOW_MESSAGES = 200
"""Outcomes published and not yet confirmed. Above 100 to 200 nothing is gained, and a confirm of many costs more."""
OUTBOX_BACKLOG_ROWS_MAX = 20_000
"""Outcomes that may wait for the relay before the worker stops booking more."""

IMMEDIATE_ATTEMPTS_MAX = 3
"""Tries of a message on the spot after a deadlock or a lost race, before it goes to the delayed retries."""
RETRY_TIERS_S = (5, 30, 300)
"""Delays of the retry queues. After the last a message is poison."""
SUSPECT_DELIVERIES_MIN = 2
"""A message delivered this often before may be what killed its worker: it is taken alone."""
BROKER_DELIVERY_LIMIT = 10_000
"""The broker's own limit: a last resort far above any row of crashes. Absent would mean 20, and −1 nothing good."""

PENDING_ROWS_MAX = 250
"""Undone payments looked at again in one transaction."""
PENDING_POLL_S = 1.0
"""How often the worker asks for undone payments whose time has come."""
RELAY_POLL_S = 1.0
"""How often the relay looks for what another worker left in the outbox."""

CONNECT_TIMEOUT_S = 10.0
"""Opening or closing a connection to either server."""
STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 2_000
"""Waiting for an invoice that another session holds. A worker holds it for milliseconds, an import of a long file for
longer; the payment then waits in a retry queue, so that it holds up no other."""
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
"""Longer than a publish may take, since the relay keeps its rows locked until their confirms have come."""
PUBLISH_TIMEOUT_S = 10.0
"""Waiting for a publisher confirm, which takes milliseconds. After it the channel is replaced and all is published
anew: a quorum queue that has no leader yet, after its node came back, takes a message and never confirms it."""
HEARTBEAT_S = 10
"""A dead connection to the broker is noticed within two of these."""
RECONNECT_DELAY_MIN_S = 0.2
RECONNECT_DELAY_MAX_S = 15.0
"""Bounds of the delay between two tries to reach a server; it doubles, with jitter."""

ERROR_CHARS_MAX = 2_000
"""Of an error's text in a dead letter's headers, which must fit a frame together with the message's own."""
HEADER_BYTES_MAX = 100_000
"""Properties of a message that can be copied on: a frame of 128 KiB holds them and what is added."""
