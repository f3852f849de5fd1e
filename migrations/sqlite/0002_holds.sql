CREATE TABLE IF NOT EXISTS stockade_holds (
    id INTEGER NOT NULL PRIMARY KEY,
    product_id INTEGER NOT NULL,
    qty INTEGER NOT NULL,
    status INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    token BLOB NOT NULL,
    CONSTRAINT stockade_holds_qty CHECK (qty > 0)
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_holds_due ON stockade_holds (product_id, status, expires_at);
