-- One row carries the events of one transaction. Rows commit in another order
-- than their ids were drawn, so a reader numbers them once they are visible.
CREATE TABLE IF NOT EXISTS stockade_outbox (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    batch_id BIGINT NOT NULL,
    first_cursor BIGINT NULL,
    events INT NOT NULL,
    at BIGINT NOT NULL,
    body MEDIUMTEXT CHARACTER SET ascii NOT NULL,
    UNIQUE KEY stockade_outbox_batch (batch_id),
    KEY stockade_outbox_cursor (first_cursor)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
