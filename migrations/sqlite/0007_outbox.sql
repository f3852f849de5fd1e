-- One row carries the events of one transaction. first_cursor is the cursor of
-- the first of them, set as the row is written, because there is one writer;
-- 0 for a row without events, which only shows that its transaction was
-- committed. No reader meets those, since all others stand behind them in the
-- index. Ids ascend without AUTOINCREMENT, which writes a further page in each
-- transaction, because the newest row is never deleted.
CREATE TABLE IF NOT EXISTS stockade_outbox (
    id INTEGER NOT NULL PRIMARY KEY,
    batch_id INTEGER NOT NULL,
    first_cursor INTEGER DEFAULT 0,
    events INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT stockade_outbox_batch UNIQUE (batch_id)
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_outbox_cursor ON stockade_outbox (first_cursor);
