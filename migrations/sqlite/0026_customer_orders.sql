-- The orders of those customers who were named, by the products of their lines. counted
-- is when the order was paid, the greatest number while it is not paid yet, and NULL
-- once none of its units count towards the customer's limit.
CREATE TABLE IF NOT EXISTS stockade_customer_orders (
    order_id INTEGER NOT NULL,
    product_id INTEGER NOT NULL,
    customer INTEGER NOT NULL,
    counted INTEGER NULL,
    PRIMARY KEY (order_id, product_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stockade_customer_orders_counted
    ON stockade_customer_orders (product_id, customer, counted);
CREATE INDEX IF NOT EXISTS stockade_customer_orders_of
    ON stockade_customer_orders (customer, order_id);
