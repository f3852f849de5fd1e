-- The columns hold_id to price are those of the first line. packed_lines is NULL for an order
-- of one line of which nothing was refunded, else a JSON array that has every line; see
-- docs/internals/orders.md. Amounts are minor units of the currency.
CREATE TABLE IF NOT EXISTS stockade_orders (
    id INTEGER NOT NULL PRIMARY KEY,
    hold_id INTEGER NOT NULL,
    product_id INTEGER NOT NULL,
    qty INTEGER NOT NULL,
    price INTEGER NOT NULL,
    packed_lines BLOB NULL,
    status INTEGER NOT NULL DEFAULT 0,
    disposition INTEGER NOT NULL DEFAULT 0,
    flags INTEGER NOT NULL DEFAULT 0,
    secret BLOB NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0,
    reference BLOB NULL,
    paid_by BLOB NULL,
    -- A JSON array of the names of payments whose money must be refunded, or was.
    other_payments BLOB NULL,
    version INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    due_at INTEGER NULL,
    -- An id of stockade_customers.
    customer INTEGER NULL,
    metadata BLOB NULL,
    created_by BLOB NULL,
    -- 0 while it was not paid. Paying changes values, and no row's length, which takes
    -- InnoDB twice as long.
    paid_at INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT stockade_orders_qty CHECK (qty > 0),
    CONSTRAINT stockade_orders_refunded CHECK (refunded >= 0 AND refunded <= amount),
    CONSTRAINT stockade_orders_hold UNIQUE (hold_id)
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_orders_due ON stockade_orders (product_id, status, due_at);
