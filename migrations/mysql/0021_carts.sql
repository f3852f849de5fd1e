-- The holds of each cart, whose id is the smallest of theirs: 8 bytes for each id,
-- big-endian and ascending. Which cart a hold belongs to is in its hold batch.
CREATE TABLE IF NOT EXISTS stockade_carts (
    cart_id BIGINT NOT NULL PRIMARY KEY,
    holds BLOB NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
