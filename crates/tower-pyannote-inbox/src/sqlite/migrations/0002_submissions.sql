-- One row a job that was submitted, or that must not be asked for again: outcome says why, received or lost.
CREATE TABLE pyannote_submissions (
    job_key BLOB NOT NULL PRIMARY KEY,
    job_id TEXT NOT NULL,
    kind TEXT,
    status_only BOOLEAN NOT NULL,
    submitted_at INTEGER NOT NULL,
    outcome TEXT
) WITHOUT ROWID;
CREATE INDEX pyannote_submissions_time ON pyannote_submissions (submitted_at);
