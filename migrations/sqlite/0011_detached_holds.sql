-- The holds that were extended beyond the end of their batch. Each has the status
-- `detached` there and its own status and end here.
CREATE TABLE IF NOT EXISTS stockade_detached_holds (
    hold_id INTEGER NOT NULL PRIMARY KEY,
    product_id INTEGER NOT NULL,
    qty INTEGER NOT NULL,
    status INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    seed BLOB NOT NULL,
    CONSTRAINT stockade_detached_holds_qty CHECK (qty > 0)
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_detached_holds_due
    ON stockade_detached_holds (product_id, status, expires_at);
