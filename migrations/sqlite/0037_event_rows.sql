-- One row an event, for change data capture: the columns that Debezium's outbox event
-- router reads. `id` is the event's cursor, `payload` its JSON.
CREATE TABLE IF NOT EXISTS stockade_event_rows (
    id INTEGER NOT NULL PRIMARY KEY,
    aggregatetype TEXT NOT NULL,
    aggregateid INTEGER NOT NULL,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    payload TEXT NOT NULL
) STRICT;
