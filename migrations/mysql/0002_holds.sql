CREATE TABLE IF NOT EXISTS stockade_holds (
    id BIGINT NOT NULL PRIMARY KEY,
    product_id BIGINT NOT NULL,
    qty BIGINT NOT NULL,
    status TINYINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    token BINARY(16) NOT NULL,
    CONSTRAINT stockade_holds_qty CHECK (qty > 0),
    KEY stockade_holds_due (product_id, status, expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
