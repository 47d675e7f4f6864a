-- The vendor's job that an accepted attempt became: no two submissions may share one. See src/jobs.rs.
ALTER TABLE attempts ADD COLUMN job TEXT;
CREATE INDEX attempts_by_job ON attempts (vendor, job) WHERE job IS NOT NULL;
