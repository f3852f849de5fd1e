-- The holds of those customers who were named, so that all others pay for no index.
CREATE TABLE IF NOT EXISTS stockade_customer_holds (
    product_id BIGINT NOT NULL,
    customer VARBINARY(255) NOT NULL,
    hold_id BIGINT NOT NULL,
    PRIMARY KEY (product_id, customer, hold_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
