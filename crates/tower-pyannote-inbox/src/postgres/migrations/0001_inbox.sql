-- One row an event; jobs, apalis' table, has a row of the same id, which says how far its handling is.
CREATE TABLE pyannote_events (
    id TEXT NOT NULL PRIMARY KEY,
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
    finished_at BIGINT,
    last_error TEXT,
    body BYTEA NOT NULL
);
CREATE INDEX pyannote_events_job ON pyannote_events (job_key);
CREATE INDEX pyannote_events_unfinished ON pyannote_events (received_at) WHERE finished_at IS NULL;
CREATE INDEX pyannote_events_finished ON pyannote_events (finished_at) WHERE finished_at IS NOT NULL;

-- The handlers that are through with an event; error is that of one which will not try again.
CREATE TABLE pyannote_settled (
    event_id TEXT NOT NULL,
    handler TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (event_id, handler)
);

-- How often an event was claimed. Apart from the event, as SQLite would write its body again with it.
CREATE TABLE pyannote_claims (
    event_id TEXT NOT NULL PRIMARY KEY,
    claims BIGINT NOT NULL
);

-- Bodies that came under the key of an event whose body is another.
CREATE TABLE pyannote_conflicts (
    event_key BYTEA NOT NULL,
    sha256 BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    signed_at BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (event_key, sha256)
);

-- Written to find out whether the store can be.
CREATE TABLE pyannote_probe (id BIGINT NOT NULL PRIMARY KEY, written_at BIGINT NOT NULL);
