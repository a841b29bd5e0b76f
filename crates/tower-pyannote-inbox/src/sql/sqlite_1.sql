CREATE TABLE pyannote_schema (version INTEGER NOT NULL);

CREATE TABLE pyannote_events (
    -- Not given to a second event, because a late write names its event by it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
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
    -- waiting, running, handled, dead
    state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0,
    -- When the event began to wait, and when its delay is over.
    queued_at INTEGER NOT NULL DEFAULT (now_ns()),
    due_at INTEGER NOT NULL DEFAULT (now_ns()),
    -- The worker that has the event, whose lease is in pyannote_leases, and the fencing token.
    worker TEXT,
    claims INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER,
    last_error TEXT
);
CREATE INDEX inbox_job ON pyannote_events (job_key);
CREATE INDEX inbox_due ON pyannote_events (due_at, id, queued_at) WHERE state = 'waiting';
CREATE UNIQUE INDEX inbox_running ON pyannote_events (job_key) WHERE state = 'running';
CREATE INDEX inbox_unfinished ON pyannote_events (received_at) WHERE finished_at IS NULL;
CREATE INDEX inbox_handled ON pyannote_events (finished_at) WHERE state = 'handled';

-- Apart from the event, because SQLite would write the body again with each change of the row.
CREATE TABLE pyannote_bodies (
    event_id INTEGER PRIMARY KEY REFERENCES pyannote_events (id) ON DELETE CASCADE,
    body BLOB NOT NULL
);

-- The handlers that have finished with an event; error is a permanent one.
CREATE TABLE pyannote_results (
    event_id INTEGER NOT NULL REFERENCES pyannote_events (id) ON DELETE CASCADE,
    handler TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (event_id, handler)
) WITHOUT ROWID;

-- Other bodies that were delivered for an event.
CREATE TABLE pyannote_conflicts (
    event_id INTEGER NOT NULL REFERENCES pyannote_events (id) ON DELETE CASCADE,
    sha256 BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    signed_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (event_id, sha256)
);

-- Submitted jobs, and jobs that a reconciler need not fetch: outcome says why, received or lost.
CREATE TABLE pyannote_submissions (
    job_key BLOB NOT NULL PRIMARY KEY,
    job_id TEXT NOT NULL,
    kind TEXT,
    status_only BOOLEAN NOT NULL,
    submitted_at INTEGER NOT NULL,
    outcome TEXT
) WITHOUT ROWID;
CREATE INDEX inbox_submitted ON pyannote_submissions (submitted_at);

-- The leases of the workers.
CREATE TABLE pyannote_leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    renewed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Written to find out whether the database can be.
CREATE TABLE pyannote_probe (id INTEGER PRIMARY KEY, written_at INTEGER NOT NULL);

-- The number of events in each state, so that nobody counts rows.
CREATE TABLE pyannote_counts (state TEXT NOT NULL PRIMARY KEY, events INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO pyannote_counts VALUES ('waiting', 0), ('running', 0), ('handled', 0), ('dead', 0), ('unknown', 0);
CREATE TRIGGER inbox_added AFTER INSERT ON pyannote_events BEGIN
    UPDATE pyannote_counts SET events = events + 1
    WHERE state = iif(NEW.state IN ('waiting', 'running', 'handled', 'dead'), NEW.state, 'unknown');
END;
CREATE TRIGGER inbox_removed AFTER DELETE ON pyannote_events BEGIN
    UPDATE pyannote_counts SET events = events - 1
    WHERE state = iif(OLD.state IN ('waiting', 'running', 'handled', 'dead'), OLD.state, 'unknown');
END;
CREATE TRIGGER inbox_changed AFTER UPDATE OF state ON pyannote_events WHEN OLD.state <> NEW.state BEGIN
    UPDATE pyannote_counts SET events = events - 1
    WHERE state = iif(OLD.state IN ('waiting', 'running', 'handled', 'dead'), OLD.state, 'unknown');
    UPDATE pyannote_counts SET events = events + 1
    WHERE state = iif(NEW.state IN ('waiting', 'running', 'handled', 'dead'), NEW.state, 'unknown');
END;
