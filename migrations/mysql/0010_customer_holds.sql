-- The active holds of those customers who were named, so that all others pay for
-- no index. A row goes as its hold ends, so that counting a customer's holds does
-- not take longer the more the customer once held. first_id is the key of the
-- hold's batch.
CREATE TABLE IF NOT EXISTS stockade_customer_holds (
    product_id BIGINT NOT NULL,
    customer VARBINARY(255) NOT NULL,
    hold_id BIGINT NOT NULL PRIMARY KEY,
    first_id BIGINT NOT NULL,
    KEY stockade_customer_holds_of (product_id, customer)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
