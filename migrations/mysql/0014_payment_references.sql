-- Orders by providers' names of payments, such as stripe/pi_3N.
CREATE TABLE IF NOT EXISTS stockade_payment_references (
    reference VARBINARY(255) NOT NULL PRIMARY KEY,
    order_id BIGINT NOT NULL,
    KEY stockade_payment_references_order (order_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
