"""Every limit on what the worker itself holds, tries and waits for, with its unit and why it has its value.

What comes from outside is limited in schemas/limits.py.
"""

BATCH_MESSAGES_MAX = 250
"""Messages settled in one transaction. The database alone gains nothing above 100 to 250."""
BATCH_BYTES_MAX = 256 * 1024
"""Bodies of a batch together. What long messages ask for takes a second or two, and the heartbeat waits for it."""
PREFETCH_MESSAGES = 1_000
"""Deliveries a lane holds unacknowledged: two batches at work, one ready and one under way."""
PREFETCH_MESSAGES_MAX = 2_000
"""What a quorum queue allows."""
RELAY_WINDOW_MESSAGES = 250
"""Outcomes taken from the outbox at a time: those of a batch."""
RELAY_WINDOW_BYTES_MAX = 1024 * 1024
"""Their bodies together: as much as is published without waiting. One may be longer."""
KEPT_BYTES_MAX = 4 * 1024 * 1024
"""Bodies of outcomes kept from their being written to their being published. What is more is read back."""
RECENT_BYTES_MAX = 4 * 1024 * 1024
"""Bodies of the last outcomes, some 3,000, kept for requests that come again. What is older is read from the books."""
REPLIES_TIMEOUT_S = 20.0
"""Publishing the replies of such a window. What has not been confirmed then is given up: the outcomes must not wait."""
PUBLISH_WINDOW_MESSAGES = 250
PUBLISH_WINDOW_BYTES_MAX = 1024 * 1024
"""Published and not yet confirmed: so much may stand in the buffers of the socket. One message may be longer."""
COLLECTION_OBJECTS = 50_000
"""Made and not freed before Python looks for cycles: some 10 MiB, where its own 700 are not even those of one batch."""
FREE_BYTES_MAX = 16 * 1024 * 1024
"""Free at the end of the heap before it goes back to the system: what several batches take."""
MAPPED_BYTES_MIN = 4 * 1024 * 1024
"""A piece that long is mapped by itself, and goes back at once. What a batch writes to a server is seldom longer."""
OUTBOX_BACKLOG_ROWS_MAX = 20_000
"""Outcomes that may wait for the relay before the worker stops booking more."""

IMMEDIATE_ATTEMPTS_MAX = 3
"""Tries on the spot after a deadlock, a lost race or a lock timeout, before a message goes to the delayed retries."""
RETRY_TIERS_S = (5, 30, 300)
"""Delays of the retry queues. After the last a message is poison."""
SUSPECT_DELIVERIES_MIN = 2
"""A message delivered this often before may be what killed its worker: it is taken alone."""
BROKER_DELIVERY_LIMIT = 10_000
"""The broker's own limit: a last resort far above any row of crashes. Absent would mean 20, and −1 nothing good."""

KEPT_COMPANIES_MAX = 1_000
"""Companies whose policies a lane keeps from batch to batch, at most; but for those of one batch more."""
PENDING_ROWS_MAX = 250
"""Undone payments looked at again in one transaction."""
PENDING_RECHECK_MIN_S = 5
PENDING_RECHECK_MAX_S = 60
"""An undone payment is looked at again after a tenth of the time that it has waited, within these bounds: should the
arrival of its invoice, which wakes it, have been missed."""
PENDING_POLL_S = 1.0
"""How often the worker asks for undone payments whose time has come."""
RELAY_POLL_S = 1.0
"""How often the relay looks for what was refused, or was left in the outbox by another."""
RELAY_DELETE_DELAY_S = 0.05
"""So long a confirmed row may wait to be deleted together with the next ones: each delete is a transaction."""

CONNECT_TIMEOUT_S = 10.0
"""Opening a connection to either server, or a channel, or beginning to consume."""
CLOSE_TIMEOUT_S = 2.0
"""Closing a connection in good order. After it the connection is dropped: nothing that matters depends on it."""
STATEMENT_TIMEOUT_MS = 30_000
ANSWER_TIMEOUT_S = 40.0
"""Waiting for an answer of Postgres: longer than it may work on a statement, so only a dead network takes so long."""
LOCK_TIMEOUT_MS = 1_000
"""Waiting for an invoice that another session holds. A worker holds it for milliseconds, an import of a long file for
longer; after its tries on the spot the payment then waits in a retry queue, so that it holds up no other. It ends a
deadlock too that Postgres cannot see: a batch waits, holding its locks, for the one before it, in the worker."""
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
"""Longer than a window and its replies may take to be published, since the relay keeps rows that it has found locked
until their confirms have come."""
RELAY_IDLE_TIMEOUT_MS = 60_000
"""After which Postgres ends the session of a relay that does nothing, and others publish what it had: it may be gone,
with nobody to tell of it. One that works, and waits for confirms, is never idle for so long."""
PUBLISH_TIMEOUT_S = 10.0
"""Waiting for a publisher confirm, which takes milliseconds. After it the channel is replaced and all is published
anew: a quorum queue that has no leader yet, after its node came back, takes a message and never confirms it."""
FRAME_BYTES_MAX = 131_072
"""A frame to a broker that states no limit of its own: what RabbitMQ takes by default."""
HEARTBEAT_S = 10
"""A dead connection to the broker is noticed within four of these: after three without any frame, at the next beat."""
SIGN_OF_LIFE_S = 1.0
"""How often the driver is shown that the broker lives, while all that comes goes past the driver."""
RECONNECT_DELAY_MIN_S = 0.2
RECONNECT_DELAY_MAX_S = 15.0
"""Bounds of the delay between two tries to reach a server; it doubles, with jitter."""

AUDIT_SLICE_ROWS_MAX = 1_000
"""Payments, invoices or whatever the audit of a running worker looks at in one transaction: some 100 ms of work."""
AUDIT_PAUSE_S = 1.0
AUDIT_PAUSE_S_MAX = 3_600
"""Between two slices of that audit, at least."""
AUDIT_SHARE_MAX = 0.05
"""Of the time, at most, that it keeps Postgres at work: where slices take longer, the pauses do too."""
AUDIT_STATEMENT_TIMEOUT_MS = 10_000
"""A slice that takes longer is cut in half; a single row that does is left to the command."""
AUDIT_POLL_S = 30.0
"""How often a worker looks whether the audit has lost the one that went round."""
AUDIT_FINDINGS_LOGGED_MAX = 100
"""Findings of a kind that are logged in a round; the rest is only counted."""

ERROR_CHARS_MAX = 2_000
"""Of an error's text in a dead letter's headers, which must fit a frame together with the message's own."""
HEADER_BYTES_MAX = 100_000
"""Properties of a message that can be copied on: a frame of 128 KiB holds them and what is added."""
ROUTES_KEPT = 1_024
"""Beginnings of publishes kept ready, one for each exchange and routing key; and what properties of a kind share."""
HEADER_NAME_BYTES_MAX = 128
"""Name of a header that can be copied on: AMQP's own limit, at which the driver would cut it."""

SHUTDOWN_DEADLINE_S = 20.0
"""Finishing what is in hand after SIGTERM. With all that is closed after it, that is within the 30 seconds that
orchestrators wait."""
BEAT_S = 1.0
BEAT_AGE_MAX_S = 30.0
"""The event loop notes that it turns; one that has not for this long counts as dead."""
MIGRATION_LOCK_TIMEOUT_MS = 10_000
"""How long a migration waits for a table that a worker holds, before it gives way and says so."""

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""A line of a file to be published, or a body put into a dead letter: what a broker takes by default."""
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024
"""A file of messages that is one JSON document is read as a whole."""
QUEUE_NAME_BYTES_MAX = 255
"""AMQP's own limit."""
IMPORT_CHUNK_ROWS = 5_000
"""Rows of a file held in memory and copied at once."""
REPLAY_WINDOW_LETTERS = 50
"""Letters locked and published at once. A worker may wait for the lock, so it is not held for long."""
FOLLOW_PREFETCH_MESSAGES = 100
"""Outcomes that `outcomes follow` holds unacknowledged."""
AWAIT_INVOICE_S_MAX = 10 * 366 * 24 * 3600
"""Ten years: how long a company may have an unknown invoice awaited."""
LETTERS_LISTED = 1_000
LETTERS_LISTED_MAX = 1_000_000
"""Dead letters in a list, unless asked for more, and at most: they are held in memory."""
WRONG_SHOWN = 20
"""Wrong lines or rows of a file told one by one; the rest is only counted."""
FINDINGS_OF_A_KIND_MAX = 100
"""Findings of an audit told one by one; the rest of their kind is only counted."""
PROGRESS_LINE_S = 10.0
"""Between two lines of progress where there is no terminal."""
