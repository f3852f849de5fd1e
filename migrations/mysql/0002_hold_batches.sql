-- One row carries the holds, at most 256 and with consecutive ids, that one
-- transaction creates of one product with one end. docs/internals/hold-batches.md
-- describes the packed columns. due is expires_at while a hold is active, so that
-- the index has no entry for a row of which nothing falls due.
CREATE TABLE IF NOT EXISTS stockade_hold_batches (
    first_id BIGINT NOT NULL PRIMARY KEY,
    product_id BIGINT NOT NULL,
    count SMALLINT NOT NULL,
    active SMALLINT NOT NULL,
    detached SMALLINT NOT NULL,
    converted SMALLINT NOT NULL,
    released SMALLINT NOT NULL,
    expired SMALLINT NOT NULL,
    active_units BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    due BIGINT NULL,
    version BIGINT NOT NULL,
    seed BINARY(16) NOT NULL,
    quantities VARBINARY(1024) NOT NULL,
    statuses VARBINARY(256) NOT NULL,
    CONSTRAINT stockade_hold_batches_counted
        CHECK (active + detached + converted + released + expired = count),
    CONSTRAINT stockade_hold_batches_counts CHECK (
        active >= 0 AND detached >= 0 AND converted >= 0 AND released >= 0 AND expired >= 0
    ),
    CONSTRAINT stockade_hold_batches_units CHECK (active_units >= active),
    CONSTRAINT stockade_hold_batches_length CHECK (
        LENGTH(statuses) = count AND LENGTH(quantities) IN (count, 2 * count, 4 * count)
        AND count > 0 AND count <= 256
    ),
    CONSTRAINT stockade_hold_batches_falls_due
        CHECK (COALESCE(due, -1) = CASE WHEN active > 0 THEN expires_at ELSE -1 END),
    KEY stockade_hold_batches_due (product_id, due)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
