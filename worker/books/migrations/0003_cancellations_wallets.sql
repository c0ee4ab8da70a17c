-- What all four sources and the canonical messages need: wallets, cancellations, write-offs, surcharges, and more policy.

-- Funds of a company's customers. available = unconditional − drawn; conditional funds pay no invoice.
CREATE TABLE wallets (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company        text NOT NULL REFERENCES companies,
    wallet_id      text,
    number         text,
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    version        bigint NOT NULL,
    unconditional  bigint NOT NULL,
    conditional    bigint NOT NULL CHECK (conditional >= 0),
    drawn          bigint NOT NULL DEFAULT 0,
    CONSTRAINT wallets_are_named CHECK (num_nonnulls(wallet_id, number) > 0),
    CONSTRAINT wallets_available CHECK (drawn BETWEEN 0 AND unconditional)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX wallets_wallet_id ON wallets (company, wallet_id) WHERE wallet_id IS NOT NULL;
CREATE UNIQUE INDEX wallets_number ON wallets (company, number) WHERE number IS NOT NULL;

-- A cancellation that was done is a payment of its own: its amounts are those of the payment that it cancels, below zero.
-- A payment that was cancelled is not booked any more, or never will be; one that has not come yet stands here without an event.
ALTER TABLE payments
    ADD COLUMN is_cancelled boolean NOT NULL DEFAULT false,
    ADD COLUMN cancels bigint REFERENCES payments,
    ADD COLUMN settled_by text NOT NULL DEFAULT 'money' CHECK (settled_by IN ('money', 'write_off', 'wallet')),
    ADD COLUMN surcharge bigint NOT NULL DEFAULT 0,
    ADD COLUMN details jsonb,
    ADD COLUMN wallet bigint REFERENCES wallets,
    ALTER COLUMN event_id DROP NOT NULL,
    DROP CONSTRAINT payments_amount_check,
    DROP CONSTRAINT payments_check,
    DROP CONSTRAINT payments_unbooked_focus_nothing,
    ADD CONSTRAINT payments_only_cancellations_are_negative CHECK (least(amount, surcharge) >= 0 OR cancels IS NOT NULL),
    ADD CONSTRAINT payments_unfocused_of_amount CHECK (unfocused BETWEEN least(amount, 0) AND greatest(amount, 0)),
    ADD CONSTRAINT payments_unbooked_focus_nothing CHECK (statusid = 6 OR cancels IS NOT NULL OR unfocused = amount),
    ADD CONSTRAINT payments_told_unless_awaited_cancelled CHECK (event_id IS NOT NULL OR is_cancelled AND statusid = 11),
    ADD CONSTRAINT payments_draw_when_booked CHECK (wallet IS NULL OR statusid = 6 OR cancels IS NOT NULL);

CREATE FUNCTION refuse_cancelled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'payment % was cancelled: it cannot be booked', NEW.id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER payments_cancelled_stay_unbooked BEFORE UPDATE ON payments
    FOR EACH ROW WHEN (OLD.is_cancelled AND OLD.statusid <> 6 AND NEW.statusid = 6) EXECUTE FUNCTION refuse_cancelled();
CREATE UNIQUE INDEX payments_cancelled_once ON payments (cancels) WHERE cancels IS NOT NULL;

-- An entry is a part of the payment, or a small remainder that was written off beside it.
ALTER TABLE allocations
    ADD COLUMN entry text NOT NULL DEFAULT 'payment' CHECK (entry IN ('payment', 'tolerance')),
    DROP CONSTRAINT allocations_pkey,
    ADD PRIMARY KEY (payment_id, line, entry),
    DROP CONSTRAINT allocations_capital_check,
    DROP CONSTRAINT allocations_interest_check,
    DROP CONSTRAINT allocations_noticefee_check,
    DROP CONSTRAINT allocations_fit_the_amount,
    ADD CONSTRAINT allocations_fit_the_amount CHECK (
        least(capital, interest, noticefee) >= 0 AND capital + interest + noticefee <= amount
        OR greatest(capital, interest, noticefee) <= 0 AND capital + interest + noticefee >= amount
    );

ALTER TABLE companies
    ADD COLUMN distribution text NOT NULL DEFAULT 'oldest-due',
    ADD COLUMN tolerance_amount bigint CHECK (tolerance_amount >= 0),
    ADD COLUMN tolerance_percent numeric CHECK (tolerance_percent BETWEEN 0 AND 100),
    ADD COLUMN gateways text[] NOT NULL DEFAULT '{}';
