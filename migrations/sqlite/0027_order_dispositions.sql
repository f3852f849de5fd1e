-- The few orders with a disposition, so that all others pay for no index of it.
CREATE TABLE IF NOT EXISTS stockade_order_dispositions (
    order_id INTEGER NOT NULL PRIMARY KEY,
    disposition INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_order_dispositions_of
    ON stockade_order_dispositions (disposition, order_id);
