-- The names of customers, each once: all else refers to the id.
CREATE TABLE IF NOT EXISTS stockade_customers (
    name BLOB NOT NULL,
    id INTEGER NOT NULL PRIMARY KEY,
    CONSTRAINT stockade_customers_name UNIQUE (name)
) STRICT;
