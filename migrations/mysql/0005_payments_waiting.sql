-- The few events that came before their order, so that the many others pay for no index.
CREATE TABLE IF NOT EXISTS stockade_payments_waiting (
    order_id BIGINT NOT NULL,
    k VARBINARY(255) NOT NULL,
    PRIMARY KEY (order_id, k)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
