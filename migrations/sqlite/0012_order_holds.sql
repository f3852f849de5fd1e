-- The orders of holds that are not the first line of theirs.
CREATE TABLE IF NOT EXISTS stockade_order_holds (
    hold_id INTEGER NOT NULL PRIMARY KEY,
    order_id INTEGER NOT NULL
) STRICT;
