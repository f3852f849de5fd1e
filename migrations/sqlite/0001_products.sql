-- Times are microseconds since 1970 in UTC; prices are minor units.
CREATE TABLE IF NOT EXISTS stockade_products (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    price INTEGER NOT NULL,
    stock INTEGER NOT NULL,
    held INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    sold INTEGER NOT NULL,
    -- How many of `sold` had orders that retention has deleted.
    sold_purged INTEGER NOT NULL DEFAULT 0,
    received INTEGER NOT NULL,
    version INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    next_due INTEGER NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT stockade_products_stock CHECK (stock >= 0),
    CONSTRAINT stockade_products_taken CHECK (held >= 0 AND pending >= 0 AND sold >= 0),
    CONSTRAINT stockade_products_purged CHECK (sold_purged >= 0 AND sold_purged <= sold),
    CONSTRAINT stockade_products_conserved CHECK (received = stock + held + pending + sold)
) STRICT;
CREATE INDEX IF NOT EXISTS stockade_products_due ON stockade_products (next_due);
