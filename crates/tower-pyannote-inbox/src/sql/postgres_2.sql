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
    begun_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX inbox_open ON pyannote_intents (expires_at);

-- Set if the event waits for the answer to a submission that may be that of its job: when the event was stored, or when the
-- latest such submission began, whichever is later.
ALTER TABLE pyannote_events ADD COLUMN held_at BIGINT;
CREATE INDEX inbox_held ON pyannote_events (held_at) WHERE held_at IS NOT NULL AND claims = 0;
CREATE FUNCTION pyannote_hold() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE begun BIGINT; expiry BIGINT; BEGIN
    -- The lock makes a transaction that closes an intent wait, so that it sees the new events and releases them. A minute,
    -- because a clock may be set back a little. After an hour, an intent would seem to be open for an hour.
    SELECT MAX(o.begun_at), MAX(o.expires_at) INTO begun, expiry FROM (
        SELECT i.begun_at, i.expires_at FROM pyannote_intents i
        WHERE i.expires_at > now_ns() AND i.begun_at <= now_ns() + 60000000000 FOR SHARE) o;
    IF expiry IS NOT NULL THEN
        UPDATE pyannote_events e SET held_at = GREATEST(now_ns(), begun), due_at = expiry FROM added a
        WHERE e.id = a.id AND NOT EXISTS (SELECT 1 FROM pyannote_submissions s WHERE s.job_key = e.job_key);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_hold AFTER INSERT ON pyannote_events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION pyannote_hold();

-- For pages of the list, newest first.
CREATE INDEX inbox_received ON pyannote_events (received_at, id);
CREATE INDEX inbox_dead ON pyannote_events (received_at, id) WHERE state = 'dead';
