-- The cart of each hold of a row, in 8 bytes, 0 for none; NULL where no hold has
-- one, so that lone holds pay nothing for carts.
ALTER TABLE stockade_hold_batches ADD COLUMN carts BLOB NULL;
