-- Who decided that a record is never applied, and why.
ALTER TABLE quarantine
    ADD COLUMN dropped_at timestamptz,
    ADD COLUMN dropped_by text,
    ADD COLUMN dropped_because text;
