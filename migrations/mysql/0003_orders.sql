-- The columns hold_id to price are those of the first line. packed_lines is NULL for an order
-- of one line of which nothing was refunded, else a JSON array that has every line; see
-- docs/internals/orders.md. Amounts are minor units of the currency.
CREATE TABLE IF NOT EXISTS stockade_orders (
    id BIGINT NOT NULL PRIMARY KEY,
    hold_id BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    qty BIGINT NOT NULL,
    price BIGINT NOT NULL,
    packed_lines MEDIUMBLOB NULL,
    status TINYINT NOT NULL DEFAULT 0,
    disposition TINYINT NOT NULL DEFAULT 0,
    flags TINYINT NOT NULL DEFAULT 0,
    secret BINARY(16) NOT NULL,
    amount BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    refunded BIGINT NOT NULL DEFAULT 0,
    reference VARBINARY(512) NULL,
    paid_by VARBINARY(255) NULL,
    -- A JSON array of the names of payments whose money must be refunded, or was.
    other_payments BLOB NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    due_at BIGINT NULL,
    -- An id of stockade_customers.
    customer BIGINT NULL,
    metadata BLOB NULL,
    created_by VARBINARY(255) NULL,
    -- 0 while it was not paid. Paying changes values, and no row's length, which takes
    -- InnoDB twice as long.
    paid_at BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT stockade_orders_qty CHECK (qty > 0),
    CONSTRAINT stockade_orders_refunded CHECK (refunded >= 0 AND refunded <= amount),
    UNIQUE KEY stockade_orders_hold (hold_id),
    KEY stockade_orders_due (product_id, status, due_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
