CREATE TABLE IF NOT EXISTS stockade_idempotency_keys (
    idempotency_key BLOB NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    answer BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stockade_idempotency_keys_age ON stockade_idempotency_keys (created_at);
