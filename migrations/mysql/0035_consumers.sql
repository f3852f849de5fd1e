-- Readers of the outbox that remember how far they have come. `fence` grows with each
-- lease: a write under an older one is refused. `revision` grows when somebody else
-- changes what is undelivered.
CREATE TABLE IF NOT EXISTS stockade_consumers (
    name VARBINARY(64) NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
