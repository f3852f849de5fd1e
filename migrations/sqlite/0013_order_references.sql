-- Orders by the shop's own numbers, for those that have one.
CREATE TABLE IF NOT EXISTS stockade_order_references (
    reference BLOB NOT NULL PRIMARY KEY,
    order_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stockade_order_references_order
    ON stockade_order_references (order_id);
