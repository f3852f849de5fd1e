-- The holds that were extended beyond the end of their batch. Each has the status
-- `detached` there and its own status and end here.
CREATE TABLE IF NOT EXISTS stockade_detached_holds (
    hold_id BIGINT NOT NULL PRIMARY KEY,
    product_id BIGINT NOT NULL,
    qty BIGINT NOT NULL,
    status TINYINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seed BINARY(16) NOT NULL,
    CONSTRAINT stockade_detached_holds_qty CHECK (qty > 0),
    KEY stockade_detached_holds_due (product_id, status, expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
