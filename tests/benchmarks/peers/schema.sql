-- The least that a peer needs for the same work: a unique key, an invoice to lock, an allocation, the outcome kept.
CREATE TABLE invoices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company text NOT NULL,
    billcode text NOT NULL,
    capital bigint NOT NULL,
    interest bigint NOT NULL,
    noticefee bigint NOT NULL,
    capital_allocated bigint NOT NULL DEFAULT 0,
    interest_allocated bigint NOT NULL DEFAULT 0,
    noticefee_allocated bigint NOT NULL DEFAULT 0,
    UNIQUE (company, billcode)
);
CREATE TABLE payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company text NOT NULL,
    idempotency_key text NOT NULL,
    amount bigint NOT NULL,
    outcome text,
    UNIQUE (company, idempotency_key)
);
CREATE TABLE allocations (
    payment_id bigint NOT NULL REFERENCES payments,
    invoice_id bigint NOT NULL REFERENCES invoices,
    capital bigint NOT NULL,
    interest bigint NOT NULL,
    noticefee bigint NOT NULL
);
