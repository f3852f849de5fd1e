-- Readers of the outbox that remember how far they have come. `fence` grows with each
-- lease: a write under an older one is refused. `revision` grows when somebody else
-- changes what is undelivered.
CREATE TABLE IF NOT EXISTS stockade_consumers (
    name BLOB NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
