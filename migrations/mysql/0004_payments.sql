CREATE TABLE IF NOT EXISTS stockade_payments (
    idempotency_key VARBINARY(255) NOT NULL PRIMARY KEY,
    fingerprint BINARY(32) NOT NULL,
    order_id BIGINT NOT NULL,
    secret BINARY(16) NULL,
    outcome TINYINT NOT NULL,
    -- JSON of what else the event says: amount, currency, the payment's name.
    terms VARBINARY(512) NULL,
    answer TINYINT NOT NULL,
    waiting TINYINT NOT NULL,
    received_at BIGINT NOT NULL,
    KEY stockade_payments_age (waiting, received_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
