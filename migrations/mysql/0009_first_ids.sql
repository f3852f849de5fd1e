INSERT IGNORE INTO stockade_sequences (name, next)
VALUES ('product', 1), ('hold', 1), ('order', 1), ('batch', 1), ('cursor', 1), ('purge', 0), ('purge_from', 0);
