-- What shops keep with those few holds that have metadata: the text of a JSON object.
CREATE TABLE IF NOT EXISTS stockade_hold_metadata (
    hold_id INTEGER NOT NULL PRIMARY KEY,
    metadata BLOB NOT NULL
) STRICT;
