-- Data of the user that travels with a job.
ALTER TABLE pyannote_submissions ADD COLUMN reference TEXT;
ALTER TABLE pyannote_submissions ADD COLUMN metadata TEXT;
CREATE INDEX inbox_reference ON pyannote_submissions (reference) WHERE reference IS NOT NULL;

-- Submissions with such data that have no answer. One is open until expires_at.
CREATE TABLE pyannote_intents (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    status_only BOOLEAN NOT NULL,
    reference TEXT,
    metadata TEXT,
    begun_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX inbox_open ON pyannote_intents (expires_at);

-- Set if the event waits for the answer to a submission that may be that of its job: when the event was stored, or when the
-- latest such submission began, whichever is later.
ALTER TABLE pyannote_events ADD COLUMN held_at INTEGER;
CREATE INDEX inbox_held ON pyannote_events (held_at) WHERE held_at IS NOT NULL AND claims = 0;
CREATE TRIGGER inbox_hold AFTER INSERT ON pyannote_events
-- A minute, because a clock may be set back a little. After an hour, an intent would seem to be open for an hour.
WHEN EXISTS (SELECT 1 FROM pyannote_intents WHERE expires_at > now_ns() AND begun_at <= now_ns() + 60000000000)
    AND NOT EXISTS (SELECT 1 FROM pyannote_submissions s WHERE s.job_key = NEW.job_key)
BEGIN
    UPDATE pyannote_events SET held_at = MAX(now_ns(), open.begun_at), due_at = open.expires_at FROM (
        SELECT MAX(begun_at) AS begun_at, MAX(expires_at) AS expires_at FROM pyannote_intents
        WHERE expires_at > now_ns() AND begun_at <= now_ns() + 60000000000) open
    WHERE id = NEW.id;
END;

-- For pages of the list, newest first.
CREATE INDEX inbox_received ON pyannote_events (received_at, id);
CREATE INDEX inbox_dead ON pyannote_events (received_at, id) WHERE state = 'dead';
