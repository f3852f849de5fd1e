-- The few events that came before their order, so that the many others pay for no index.
CREATE TABLE IF NOT EXISTS stockade_payments_waiting (
    order_id BIGINT NOT NULL,
    idempotency_key VARBINARY(255) NOT NULL,
    -- The place among those that came in one batch and so at one time.
    position INT NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, idempotency_key)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
