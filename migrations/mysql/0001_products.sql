-- Times are microseconds since 1970 in UTC; prices are minor units of their currency.
CREATE TABLE IF NOT EXISTS stockade_products (
    id BIGINT NOT NULL PRIMARY KEY,
    -- Compared byte by byte, which a collation would not do (`utf8mb4_bin` pads).
    sku VARBINARY(512) NULL,
    name VARCHAR(255) NOT NULL,
    price BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    -- Units in stock. Holds take those beyond the safety stock.
    stock BIGINT NOT NULL,
    held BIGINT NOT NULL,
    pending BIGINT NOT NULL,
    sold BIGINT NOT NULL,
    -- How many of `sold` had orders that retention has deleted.
    sold_purged BIGINT NOT NULL DEFAULT 0,
    -- Units refunded and not for sale again, and how many of them had such orders.
    returned BIGINT NOT NULL DEFAULT 0,
    returned_purged BIGINT NOT NULL DEFAULT 0,
    received BIGINT NOT NULL,
    version BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    next_due BIGINT NULL,
    created_at BIGINT NOT NULL,
    safety_stock BIGINT NOT NULL DEFAULT 0,
    on_sale_from BIGINT NULL,
    on_sale_until BIGINT NULL,
    archived TINYINT NOT NULL DEFAULT 0,
    -- A JSON object as it came; a JSON column would change it.
    metadata VARBINARY(4096) NULL,
    CONSTRAINT stockade_products_stock CHECK (stock >= 0 AND safety_stock >= 0),
    CONSTRAINT stockade_products_taken CHECK (held >= 0 AND pending >= 0 AND sold >= 0),
    CONSTRAINT stockade_products_purged CHECK (
        sold_purged >= 0 AND sold_purged <= sold
        AND returned_purged >= 0 AND returned_purged <= returned
    ),
    CONSTRAINT stockade_products_conserved CHECK (received = stock + held + pending + sold + returned),
    UNIQUE KEY stockade_products_sku (sku),
    KEY stockade_products_due (next_due)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
