-- The few orders with a disposition, so that all others pay for no index of it.
CREATE TABLE IF NOT EXISTS stockade_order_dispositions (
    order_id BIGINT NOT NULL PRIMARY KEY,
    disposition TINYINT NOT NULL,
    KEY stockade_order_dispositions_of (disposition, order_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
