-- The holds of those customers who were named, so that all others pay for no index.
-- active is NULL once the hold has ended, so that counting a customer's active holds
-- does not take longer the more the customer once held. customer is an id of
-- stockade_customers, first_id the key of the hold's batch.
CREATE TABLE IF NOT EXISTS stockade_customer_holds (
    hold_id INTEGER NOT NULL PRIMARY KEY,
    product_id INTEGER NOT NULL,
    customer INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    active INTEGER NULL
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_customer_holds_active
    ON stockade_customer_holds (product_id, customer, active);
CREATE INDEX IF NOT EXISTS stockade_customer_holds_of
    ON stockade_customer_holds (customer, hold_id);
