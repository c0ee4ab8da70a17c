-- An outcome keeps the correlation_id of its registration, so that one that is resent has it too. Those from before have none.
ALTER TABLE outcomes ADD COLUMN correlation_id text;

CREATE TYPE event_row AS (
    event_id         uuid,
    company          text,
    payment_id       bigint,
    idempotency_key  text,
    source           text,
    statusid         smallint,
    body             bytea,
    correlation_id   text
);
