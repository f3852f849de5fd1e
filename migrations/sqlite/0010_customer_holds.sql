-- The holds of those customers who were named, so that all others pay for no index.
CREATE TABLE IF NOT EXISTS stockade_customer_holds (
    product_id INTEGER NOT NULL,
    customer BLOB NOT NULL,
    hold_id INTEGER NOT NULL,
    PRIMARY KEY (product_id, customer, hold_id)
) STRICT, WITHOUT ROWID;
