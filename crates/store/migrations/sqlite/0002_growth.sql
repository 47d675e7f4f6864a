-- How long a task's media and details were kept; set when they are removed, the row stays.
ALTER TABLE tasks ADD COLUMN kept_s BIGINT;
CREATE INDEX tasks_ended ON tasks (completed_at) WHERE completed_at IS NOT NULL AND kept_s IS NULL;

-- The first 16 digits of the hash: enough to find who else names a blob. See src/retire.rs for `gone`.
ALTER TABLE media ADD COLUMN blob TEXT NOT NULL DEFAULT '';
ALTER TABLE media ADD COLUMN gone BIGINT NOT NULL DEFAULT 0;
UPDATE media SET blob = substr(json_extract(facts, '$.sha256'), 1, 16);
CREATE INDEX media_by_blob ON media (blob, gone);
CREATE INDEX media_going ON media (id) WHERE gone = 9223372036854775807;

INSERT INTO meta (name, value) VALUES ('retention_lease', 0), ('blob_generation', 0);

-- Lists of completed tasks would walk over every live one.
DROP INDEX tasks_unfinished;
CREATE INDEX tasks_by_status ON tasks (status, id);
-- With project and stage in it, a start and the metrics look at no row of a queue.
DROP INDEX work_queue;
CREATE INDEX work_queue ON work (vendor, rank, project_id, stage) WHERE stage = 0;
