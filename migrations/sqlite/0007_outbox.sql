-- One row carries the events of one transaction. Rows commit in another order
-- than their ids were drawn, so a reader numbers them once they are visible.
CREATE TABLE IF NOT EXISTS stockade_outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    batch_id INTEGER NOT NULL,
    first_cursor INTEGER NULL,
    events INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT stockade_outbox_batch UNIQUE (batch_id)
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_outbox_cursor ON stockade_outbox (first_cursor);
