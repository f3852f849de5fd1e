-- The orders of holds that are not the first line of theirs.
CREATE TABLE IF NOT EXISTS stockade_order_holds (
    hold_id BIGINT NOT NULL PRIMARY KEY,
    order_id BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
