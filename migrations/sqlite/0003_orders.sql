CREATE TABLE IF NOT EXISTS stockade_orders (
    id INTEGER NOT NULL PRIMARY KEY,
    hold_id INTEGER NOT NULL,
    product_id INTEGER NOT NULL,
    qty INTEGER NOT NULL,
    status INTEGER NOT NULL,
    disposition INTEGER NOT NULL,
    secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    due_at INTEGER NULL,
    CONSTRAINT stockade_orders_qty CHECK (qty > 0),
    CONSTRAINT stockade_orders_hold UNIQUE (hold_id)
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_orders_due ON stockade_orders (product_id, status, due_at);
