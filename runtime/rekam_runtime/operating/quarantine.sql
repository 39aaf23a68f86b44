-- name: list
-- After ($2, $3) in the order of stream and position. $4: also those that were dropped.
SELECT stream, position, subject, reason, at, length(data) AS bytes, dropped_at, dropped_by, dropped_because
FROM quarantine
WHERE ($1 = '' OR stream = $1) AND (stream, position) > ($2, $3) AND ($4 OR dropped_at IS NULL)
ORDER BY stream, position
LIMIT $5;

-- name: show
SELECT stream, position, subject, reason, at, length(data) AS bytes, dropped_at, dropped_by, dropped_because, data
FROM quarantine WHERE stream = $1 AND position = $2;

-- name: begin
-- The active generation stays the active one until the transaction ends; the session sees it.
SELECT pg_advisory_xact_lock_shared(7310868770017125)::text;

-- name: take
DELETE FROM quarantine WHERE stream = $1 AND position = $2 AND dropped_at IS NULL RETURNING subject, data;

-- name: drop
UPDATE quarantine SET dropped_at = now(), dropped_by = $3, dropped_because = $4
WHERE stream = $1 AND position = $2 AND dropped_at IS NULL
RETURNING stream;

-- name: still_wrong
UPDATE quarantine SET reason = $3 WHERE stream = $1 AND position = $2;

-- name: building
SELECT number FROM public.projection_generation WHERE state = 'building';

-- name: lock_position
SELECT position FROM {}.projection_position WHERE stream = $1 FOR UPDATE;
