-- The few events that came before their order, so that the many others pay for no index.
CREATE TABLE IF NOT EXISTS stockade_payments_waiting (
    order_id INTEGER NOT NULL,
    k BLOB NOT NULL,
    PRIMARY KEY (order_id, k)
) STRICT, WITHOUT ROWID;
