CREATE TABLE pyannote_schema (version INTEGER NOT NULL);

CREATE TABLE pyannote_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_key BYTEA NOT NULL UNIQUE,
    job_key BYTEA NOT NULL,
    job_id TEXT NOT NULL,
    status TEXT NOT NULL,
    kind TEXT,
    source TEXT NOT NULL,
    sha256 BYTEA NOT NULL,
    body_bytes BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    signed_at BIGINT NOT NULL,
    retry_number BIGINT,
    retry_reason TEXT,
    -- waiting, running, handled, dead
    state TEXT NOT NULL DEFAULT 'waiting',
    attempts BIGINT NOT NULL DEFAULT 0,
    -- When the event began to wait, and when its delay is over.
    queued_at BIGINT NOT NULL DEFAULT now_ns(),
    due_at BIGINT NOT NULL DEFAULT now_ns(),
    -- The worker that has the event, whose lease is in pyannote_leases, and the fencing token.
    worker TEXT,
    claims BIGINT NOT NULL DEFAULT 0,
    finished_at BIGINT,
    last_error TEXT,
    body BYTEA NOT NULL
);
CREATE INDEX inbox_job ON pyannote_events (job_key);
CREATE INDEX inbox_due ON pyannote_events (due_at, id, queued_at) WHERE state = 'waiting';
CREATE UNIQUE INDEX inbox_running ON pyannote_events (job_key) WHERE state = 'running';
CREATE INDEX inbox_unfinished ON pyannote_events (received_at) WHERE finished_at IS NULL;
CREATE INDEX inbox_handled ON pyannote_events (finished_at) WHERE state = 'handled';
-- A body is up to 128 MiB, which takes longer to compress than a delivery waits.
ALTER TABLE pyannote_events ALTER COLUMN body SET STORAGE EXTERNAL;

-- The handlers that have finished with an event; error is a permanent one.
CREATE TABLE pyannote_results (
    event_id BIGINT NOT NULL REFERENCES pyannote_events (id) ON DELETE CASCADE,
    handler TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (event_id, handler)
);

-- Other bodies that were delivered for an event.
CREATE TABLE pyannote_conflicts (
    event_id BIGINT NOT NULL REFERENCES pyannote_events (id) ON DELETE CASCADE,
    sha256 BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    signed_at BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (event_id, sha256)
);
ALTER TABLE pyannote_conflicts ALTER COLUMN body SET STORAGE EXTERNAL;

-- Submitted jobs, and jobs that a reconciler need not fetch: outcome says why, received or lost.
CREATE TABLE pyannote_submissions (
    job_key BYTEA NOT NULL PRIMARY KEY,
    job_id TEXT NOT NULL,
    kind TEXT,
    status_only BOOLEAN NOT NULL,
    submitted_at BIGINT NOT NULL,
    outcome TEXT
);
CREATE INDEX inbox_submitted ON pyannote_submissions (submitted_at);

-- The leases of the workers.
CREATE TABLE pyannote_leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    renewed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Written to find out whether the database can be.
CREATE TABLE pyannote_probe (id BIGINT NOT NULL PRIMARY KEY, written_at BIGINT NOT NULL);

-- Changes of the number of events in each state, so that nobody counts rows. One row a statement, because a row for each state
-- would be locked by every transaction; workers add them up from time to time.
CREATE TABLE pyannote_counts (state TEXT NOT NULL, events BIGINT NOT NULL);
CREATE FUNCTION pyannote_count_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO pyannote_counts SELECT state, COUNT(*) FROM added GROUP BY state;
    RETURN NULL;
END $$;
CREATE FUNCTION pyannote_count_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO pyannote_counts SELECT state, -COUNT(*) FROM removed GROUP BY state;
    RETURN NULL;
END $$;
CREATE FUNCTION pyannote_count_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO pyannote_counts SELECT state, SUM(events) FROM (
        SELECT state, 1 AS events FROM added UNION ALL SELECT state, -1 FROM removed
    ) changes GROUP BY state HAVING SUM(events) <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_added AFTER INSERT ON pyannote_events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION pyannote_count_added();
CREATE TRIGGER inbox_removed AFTER DELETE ON pyannote_events
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION pyannote_count_removed();
CREATE TRIGGER inbox_changed AFTER UPDATE ON pyannote_events
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION pyannote_count_changed();
