"""Books that are filled by SQL, so that a plan which reads too much shows, and what plans are made of."""

from collections.abc import Iterator
from typing import Any

ROWS = 20_000
FILL = f"""
INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)
    SELECT 'acme', 'filled-' || n, 'EUR', 'OPEN', 1, 100, 0, 0 FROM generate_series(1, {ROWS}) n;
INSERT INTO wallets (company, number, currency, version, unconditional, conditional)
    SELECT 'acme', 'filled-' || n, 'EUR', 1, 100, 0 FROM generate_series(1, {ROWS}) n;
INSERT INTO payments (company, idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency,
        paydate, event_id, created_at, updated_at, is_cancelled, wallet)
    SELECT 'acme', 'filled-' || n, sha256(''), 'ropo.payment.v1', 6, 'booked', 1, 0, 'EUR',
        '2017-10-10', gen_random_uuid(), now(), now(), n % 5 = 0,
        CASE WHEN n % 3 = 0 THEN (SELECT min(id) FROM wallets) + n % 1000 END
    FROM generate_series(1, {ROWS}) n;
INSERT INTO payments (company, idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency,
        event_id, created_at, updated_at, cancels)
    SELECT 'acme', 'cancel-' || idempotency_key, sha256(''), 'payment.cancel.v1', 11, 'cancelled', -1, 0, 'EUR',
        gen_random_uuid(), now(), now(), id
    FROM payments WHERE is_cancelled AND idempotency_key LIKE 'filled-%';
INSERT INTO allocations (payment_id, line, invoice_id, amount, capital, interest, noticefee, created_at)
    SELECT p.id, 1, i.id, 1, 1, 0, 0, now() FROM payments p JOIN invoices i ON i.billcode = p.idempotency_key
    WHERE i.billcode LIKE 'filled-%';
INSERT INTO outcomes (event_id, company, payment_id, idempotency_key, source, statusid, occurred_at, body)
    SELECT event_id, company, id, idempotency_key, source, statusid, now(), '{{}}'
    FROM payments WHERE idempotency_key LIKE '%filled-%';
INSERT INTO outbox (event_id, replayed) SELECT event_id, false FROM outcomes;
INSERT INTO pending (payment_id, awaited_since, wake_at, awaits, body)
    SELECT id, now(), now(), '{{}}', '' FROM payments WHERE idempotency_key LIKE 'filled-%';
ANALYZE
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)
