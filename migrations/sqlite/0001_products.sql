-- Times are microseconds since 1970 in UTC; prices are minor units of their currency.
CREATE TABLE IF NOT EXISTS stockade_products (
    id INTEGER NOT NULL PRIMARY KEY,
    sku BLOB NULL,
    name TEXT NOT NULL,
    price INTEGER NOT NULL,
    currency TEXT NOT NULL,
    -- Units in stock. Holds take those beyond the safety stock.
    stock INTEGER NOT NULL,
    held INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    sold INTEGER NOT NULL,
    -- How many of `sold` had orders that retention has deleted.
    sold_purged INTEGER NOT NULL DEFAULT 0,
    -- Units refunded and not for sale again, and how many of them had such orders.
    returned INTEGER NOT NULL DEFAULT 0,
    returned_purged INTEGER NOT NULL DEFAULT 0,
    received INTEGER NOT NULL,
    version INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    next_due INTEGER NULL,
    created_at INTEGER NOT NULL,
    safety_stock INTEGER NOT NULL DEFAULT 0,
    on_sale_from INTEGER NULL,
    on_sale_until INTEGER NULL,
    archived INTEGER NOT NULL DEFAULT 0,
    -- A JSON object as it came.
    metadata BLOB NULL,
    CONSTRAINT stockade_products_stock CHECK (stock >= 0 AND safety_stock >= 0),
    CONSTRAINT stockade_products_taken CHECK (held >= 0 AND pending >= 0 AND sold >= 0),
    CONSTRAINT stockade_products_purged CHECK (
        sold_purged >= 0 AND sold_purged <= sold
        AND returned_purged >= 0 AND returned_purged <= returned
    ),
    CONSTRAINT stockade_products_conserved CHECK (received = stock + held + pending + sold + returned)
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_products_due ON stockade_products (next_due);
CREATE UNIQUE INDEX IF NOT EXISTS stockade_products_sku ON stockade_products (sku);
