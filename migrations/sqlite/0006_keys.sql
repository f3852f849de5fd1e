CREATE TABLE IF NOT EXISTS stockade_keys (
    k BLOB NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    answer BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_keys_age ON stockade_keys (created_at);
