-- Clips that apps asked for and know by a number: one row a request, kept after retention. What
-- became of it stands in its task. See src/clips.rs.
CREATE TABLE clips (
    id BIGINT NOT NULL PRIMARY KEY,
    task_id TEXT NOT NULL,
    app TEXT NOT NULL,
    caller TEXT NOT NULL,
    method TEXT NOT NULL,
    model TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
-- Limits count a caller's last minute; sums go over days.
CREATE INDEX clips_by_caller ON clips (app, caller, created_at);
CREATE INDEX clips_by_time ON clips (created_at);

-- How often clips were asked after, for each day, app and caller.
CREATE TABLE clip_polls (
    day BIGINT NOT NULL,
    app TEXT NOT NULL,
    caller TEXT NOT NULL,
    polls BIGINT NOT NULL,
    PRIMARY KEY (day, app, caller)
);
CREATE INDEX clip_polls_by_app ON clip_polls (app, day);
CREATE INDEX clip_polls_by_caller ON clip_polls (caller, day);
