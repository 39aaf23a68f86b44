-- name: start_at_zero
INSERT INTO projection_position (stream, position) VALUES ($1, 0) ON CONFLICT DO NOTHING;

-- name: position
SELECT position FROM projection_position WHERE stream = $1;

-- name: positions
SELECT stream, position FROM projection_position WHERE stream = ANY ($1::text[]);

-- name: move
-- First statement of the transaction: its row lock makes a second projector wait and then fail here,
-- before it has written anything.
UPDATE projection_position SET position = $3 WHERE stream = $1 AND position = $2 RETURNING position;

-- name: set_aside
INSERT INTO quarantine (stream, position, subject, reason, data) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (stream, position) DO NOTHING;

-- name: commit_without_waiting
SET LOCAL synchronous_commit = off
