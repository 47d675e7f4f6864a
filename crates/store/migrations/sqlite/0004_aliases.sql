-- The model that an alias came to; the column `model` keeps the alias itself.
ALTER TABLE tasks ADD COLUMN served_by TEXT;
-- The models of an alias that come after the present one, and the failures that lead to them.
ALTER TABLE work ADD COLUMN fallback TEXT;
ALTER TABLE work ADD COLUMN fallback_on TEXT;
-- Tasks that may leave the queue of a vendor that is closed.
CREATE INDEX work_movable ON work (vendor, rank) WHERE stage = 0 AND fallback_on IS NOT NULL;
