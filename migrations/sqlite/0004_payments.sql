CREATE TABLE IF NOT EXISTS stockade_payments (
    idempotency_key BLOB NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    order_id INTEGER NOT NULL,
    secret BLOB NULL,
    outcome INTEGER NOT NULL,
    -- JSON of what else the event says: amount, currency, the payment's name.
    terms BLOB NULL,
    answer INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stockade_payments_age ON stockade_payments (waiting, received_at);
