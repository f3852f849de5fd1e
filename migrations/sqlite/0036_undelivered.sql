-- Events up to a consumer's position that it has not delivered: those that wait for
-- another attempt, or behind one of the same product, and dead letters.
CREATE TABLE IF NOT EXISTS stockade_undelivered (
    consumer BLOB NOT NULL,
    event INTEGER NOT NULL,
    product_id INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    since INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL,
    error BLOB NOT NULL,
    PRIMARY KEY (consumer, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stockade_undelivered_state
    ON stockade_undelivered (consumer, state, event);
CREATE INDEX IF NOT EXISTS stockade_undelivered_age ON stockade_undelivered (state, since);
