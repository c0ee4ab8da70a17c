-- What could not be processed, for people to look at, and what they did about it.

CREATE TABLE dead_letters (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity         bytea NOT NULL UNIQUE CHECK (length(identity) = 32),
    reason           text NOT NULL,
    company          text,
    idempotency_key  text,
    type             text,
    error            text NOT NULL,
    errors           json NOT NULL,
    routing_key      text NOT NULL,
    body             bytea NOT NULL,
    properties       json NOT NULL,
    first_seen       timestamptz NOT NULL DEFAULT now(),
    last_seen        timestamptz NOT NULL DEFAULT now(),
    last_message     text NOT NULL,
    count            integer NOT NULL DEFAULT 1 CHECK (count > 0),
    state            text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'resolved', 'discarded'))
);
CREATE INDEX dead_letters_state ON dead_letters (state, company, reason);

CREATE TABLE dead_letter_actions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dead_letter_id  bigint NOT NULL REFERENCES dead_letters,
    action          text NOT NULL,
    actor           text NOT NULL,
    why             text,
    body_before     bytea,
    happened_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dead_letter_actions_of ON dead_letter_actions (dead_letter_id);

CREATE TRIGGER dead_letter_actions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dead_letter_actions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
