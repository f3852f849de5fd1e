-- One row carries the events of one transaction. first_cursor is the cursor of
-- the first of them; NULL until a reader numbers the row, because rows commit
-- in another order than their ids were drawn; 0 for a row without events, which
-- only shows that its transaction was committed. So the index has the rows to
-- be numbered at one end, those with events in order at the other, and no
-- reader meets those without.
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
