-- Rows as write_batch.sql takes them: an array of each, instead of an array for each column, takes driver and server half the time.
-- A release that needs other columns makes types of its own: this one's workers may still run.

CREATE TYPE payment_row AS (
    id               bigint,
    company          text,
    idempotency_key  text,
    source           text,
    statusid         smallint,
    reason           text,
    currency         text,
    fingerprint      bytea,
    amount           bigint,
    unfocused        bigint,
    surcharge        bigint,
    paydate          date,
    payment_type     text,
    settled_by       text,
    wallet           bigint,
    event_id         uuid,
    is_cancelled     boolean,
    cancels          bigint,
    details          jsonb
);

CREATE TYPE allocation_row AS (
    payment_id       bigint,
    line             smallint,
    entry            text,
    invoice_id       bigint,
    amount           bigint,
    capital          bigint,
    interest         bigint,
    noticefee        bigint,
    line_references  jsonb
);

CREATE TYPE outcome_row AS (
    event_id         uuid,
    company          text,
    payment_id       bigint,
    idempotency_key  text,
    source           text,
    statusid         smallint,
    body             bytea
);

CREATE TYPE outbox_row AS (
    event_id        uuid,
    replayed        boolean,
    correlation_id  text,
    reply_to        text,
    traceparent     text,
    tracestate      text
);
