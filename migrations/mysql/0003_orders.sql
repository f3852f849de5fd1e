CREATE TABLE IF NOT EXISTS stockade_orders (
    id BIGINT NOT NULL PRIMARY KEY,
    hold_id BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    qty BIGINT NOT NULL,
    status TINYINT NOT NULL,
    disposition TINYINT NOT NULL,
    secret BINARY(16) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    due_at BIGINT NULL,
    CONSTRAINT stockade_orders_qty CHECK (qty > 0),
    UNIQUE KEY stockade_orders_hold (hold_id),
    KEY stockade_orders_due (product_id, status, due_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
