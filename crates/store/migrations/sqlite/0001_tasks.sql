-- What a caller sees of a task. One row a task, kept after it has ended.
CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    sandbox BIGINT NOT NULL,
    project_id TEXT,
    source TEXT,
    source_id TEXT,
    params TEXT NOT NULL,
    warnings TEXT NOT NULL,
    made TEXT,
    failure TEXT,
    attention TEXT,
    cost TEXT,
    progress BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    started_at BIGINT,
    completed_at BIGINT
) WITHOUT ROWID;
CREATE INDEX tasks_by_kind ON tasks (kind, id);
CREATE INDEX tasks_by_model ON tasks (model, id);
CREATE INDEX tasks_by_project ON tasks (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX tasks_by_source ON tasks (source, source_id, id) WHERE source IS NOT NULL;
CREATE INDEX tasks_by_source_id ON tasks (source_id, id) WHERE source_id IS NOT NULL;
CREATE INDEX tasks_unfinished ON tasks (status, id) WHERE status <> 'completed';

-- What the engine needs of a live task. The row goes when the task ends, so that a million
-- finished tasks cost the engine nothing.
CREATE TABLE work (
    task_id TEXT NOT NULL PRIMARY KEY,
    stage BIGINT NOT NULL,
    vendor TEXT NOT NULL,
    rank BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    in_flight BIGINT NOT NULL,
    model TEXT NOT NULL,
    project_id TEXT,
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX work_queue ON work (vendor, rank) WHERE stage = 0;
CREATE INDEX work_due ON work (due_at) WHERE stage > 0;
CREATE INDEX work_busy ON work (vendor, in_flight) WHERE in_flight > 0;

-- Every send of a paid call: written before the first byte leaves, used at most once.
CREATE TABLE attempts (
    task_id TEXT NOT NULL,
    id TEXT NOT NULL,
    slot BIGINT NOT NULL,
    round BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    vendor TEXT NOT NULL,
    outcome TEXT,
    detail TEXT,
    estimate_micros BIGINT,
    cost_micros BIGINT,
    currency TEXT,
    sent_at BIGINT NOT NULL,
    answered_at BIGINT,
    PRIMARY KEY (task_id, id)
) WITHOUT ROWID;

-- Stored media: results, previews and inputs.
CREATE TABLE media (
    id TEXT NOT NULL PRIMARY KEY,
    task_id TEXT,
    facts TEXT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX media_by_task ON media (task_id) WHERE task_id IS NOT NULL;

-- One row a vendor account: when its next submission may leave (the generic cell rate rule).
CREATE TABLE budgets (
    vendor TEXT NOT NULL PRIMARY KEY,
    next_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('epoch', 0);
