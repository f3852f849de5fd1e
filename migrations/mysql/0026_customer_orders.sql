-- The orders of those customers who were named, by the products of their lines. counted
-- is when the order was paid, the greatest number while it is not paid yet, and NULL
-- once none of its units count towards the customer's limit.
CREATE TABLE IF NOT EXISTS stockade_customer_orders (
    order_id BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    customer BIGINT NOT NULL,
    counted BIGINT NULL,
    PRIMARY KEY (order_id, product_id),
    KEY stockade_customer_orders_counted (product_id, customer, counted),
    KEY stockade_customer_orders_of (customer, order_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
