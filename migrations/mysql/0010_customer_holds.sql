-- The holds of those customers who were named, so that all others pay for no index.
-- active is NULL once the hold has ended, so that counting a customer's active holds
-- does not take longer the more the customer once held. customer is an id of
-- stockade_customers, first_id the key of the hold's batch.
CREATE TABLE IF NOT EXISTS stockade_customer_holds (
    hold_id BIGINT NOT NULL PRIMARY KEY,
    product_id BIGINT NOT NULL,
    customer BIGINT NOT NULL,
    first_id BIGINT NOT NULL,
    active TINYINT NULL,
    KEY stockade_customer_holds_active (product_id, customer, active),
    KEY stockade_customer_holds_of (customer, hold_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
