-- Orders by the shop's own numbers, for those that have one.
CREATE TABLE IF NOT EXISTS stockade_order_references (
    reference VARBINARY(512) NOT NULL PRIMARY KEY,
    order_id BIGINT NOT NULL,
    KEY stockade_order_references_order (order_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
