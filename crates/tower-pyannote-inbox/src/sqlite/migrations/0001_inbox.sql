-- One row an event; jobs, apalis' table, has a row of the same id, which says how far its handling is.
CREATE TABLE pyannote_events (
    id TEXT NOT NULL PRIMARY KEY,
    event_key BLOB NOT NULL UNIQUE,
    job_key BLOB NOT NULL,
    job_id TEXT NOT NULL,
    status TEXT NOT NULL,
    kind TEXT,
    source TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    body_bytes INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    signed_at INTEGER NOT NULL,
    retry_number INTEGER,
    retry_reason TEXT,
    finished_at INTEGER,
    last_error TEXT,
    body BLOB NOT NULL
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
) WITHOUT ROWID;

-- How often an event was claimed. Apart from the event, as SQLite would write its body again with it.
CREATE TABLE pyannote_claims (
    event_id TEXT NOT NULL PRIMARY KEY,
    claims INTEGER NOT NULL
) WITHOUT ROWID;

-- Bodies that came under the key of an event whose body is another.
CREATE TABLE pyannote_conflicts (
    event_key BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    signed_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (event_key, sha256)
);

-- Written to find out whether the store can be.
CREATE TABLE pyannote_probe (id INTEGER NOT NULL PRIMARY KEY, written_at INTEGER NOT NULL);
