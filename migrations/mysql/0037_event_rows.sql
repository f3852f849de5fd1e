-- One row an event, for change data capture: the columns that Debezium's outbox event
-- router reads. `id` is the event's cursor, `payload` its JSON.
CREATE TABLE IF NOT EXISTS stockade_event_rows (
    id BIGINT NOT NULL PRIMARY KEY,
    aggregatetype VARCHAR(16) CHARACTER SET ascii NOT NULL,
    aggregateid BIGINT NOT NULL,
    type VARCHAR(64) CHARACTER SET ascii NOT NULL,
    at BIGINT NOT NULL,
    payload MEDIUMTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
