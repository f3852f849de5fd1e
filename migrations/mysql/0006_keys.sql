CREATE TABLE IF NOT EXISTS stockade_keys (
    k VARBINARY(255) NOT NULL PRIMARY KEY,
    fingerprint BINARY(32) NOT NULL,
    answer MEDIUMBLOB NOT NULL,
    created_at BIGINT NOT NULL,
    KEY stockade_keys_age (created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
