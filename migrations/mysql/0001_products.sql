-- Times are microseconds since 1970 in UTC; prices are minor units.
CREATE TABLE IF NOT EXISTS stockade_products (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    price BIGINT NOT NULL,
    stock BIGINT NOT NULL,
    held BIGINT NOT NULL,
    pending BIGINT NOT NULL,
    sold BIGINT NOT NULL,
    -- How many of `sold` had orders that retention has deleted.
    sold_purged BIGINT NOT NULL DEFAULT 0,
    received BIGINT NOT NULL,
    version BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    next_due BIGINT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT stockade_products_stock CHECK (stock >= 0),
    CONSTRAINT stockade_products_taken CHECK (held >= 0 AND pending >= 0 AND sold >= 0),
    CONSTRAINT stockade_products_purged CHECK (sold_purged >= 0 AND sold_purged <= sold),
    CONSTRAINT stockade_products_conserved CHECK (received = stock + held + pending + sold),
    KEY stockade_products_due (next_due)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
