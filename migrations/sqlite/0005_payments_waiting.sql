-- The few events that came before their order, so that the many others pay for no index.
CREATE TABLE IF NOT EXISTS stockade_payments_waiting (
    order_id INTEGER NOT NULL,
    idempotency_key BLOB NOT NULL,
    -- The place among those that came in one batch and so at one time.
    position INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, idempotency_key)
) STRICT, WITHOUT ROWID;
