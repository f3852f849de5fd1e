-- Orders by providers' names of payments, such as stripe/pi_3N.
CREATE TABLE IF NOT EXISTS stockade_payment_references (
    reference BLOB NOT NULL PRIMARY KEY,
    order_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stockade_payment_references_order
    ON stockade_payment_references (order_id);
