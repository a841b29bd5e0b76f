-- A body is up to 128 MiB, which to compress takes longer than a delivery waits.
ALTER TABLE pyannote_events ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE pyannote_conflicts ALTER COLUMN body SET STORAGE EXTERNAL;
