CREATE TABLE IF NOT EXISTS stockade_idempotency_keys (
    idempotency_key VARBINARY(255) NOT NULL PRIMARY KEY,
    fingerprint BINARY(32) NOT NULL,
    answer MEDIUMBLOB NOT NULL,
    created_at BIGINT NOT NULL,
    KEY stockade_idempotency_keys_age (created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
