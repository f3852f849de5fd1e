-- Events up to a consumer's position that it has not delivered: those that wait for
-- another attempt, or behind one of the same product, and dead letters.
CREATE TABLE IF NOT EXISTS stockade_undelivered (
    consumer VARBINARY(64) NOT NULL,
    event BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    state INT NOT NULL,
    attempts INT NOT NULL,
    since BIGINT NOT NULL,
    next_attempt BIGINT NOT NULL,
    error VARBINARY(512) NOT NULL,
    PRIMARY KEY (consumer, event),
    KEY stockade_undelivered_state (consumer, state, event),
    KEY stockade_undelivered_age (state, since)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
