-- name: start_at_zero
INSERT INTO projection_position (stream, position) VALUES ($1, 0) ON CONFLICT DO NOTHING;

-- name: position
SELECT position FROM projection_position WHERE stream = $1;

-- name: begin
-- A crash may lose the last commits, rows and position together: they are projected again from the
-- log, which keeps its records. So nobody waits for the disk here.
-- $2: whether the generation is the active one. Then it does not change while this transaction is
-- open; and when it has changed, `move` sees that.
SELECT set_config('synchronous_commit', 'off', true), set_config('search_path', $1, true),
       CASE WHEN $2 THEN pg_advisory_xact_lock_shared(7310868770017125)::text END;

-- name: move
-- First statement after `begin`: its row lock makes a second projector wait and then fail here,
-- before it has written anything. So does a generation that is no longer what it was.
UPDATE projection_position SET position = $3
WHERE stream = $1 AND position = $2
    AND EXISTS (SELECT FROM public.projection_generation WHERE number = $4 AND state = $5)
RETURNING position;

-- name: set_aside
INSERT INTO quarantine (stream, position, subject, reason, data) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (stream, position) DO NOTHING;

-- name: copy_dropped
-- What was decided in the active generation, for the one that is being built.
INSERT INTO {}.quarantine SELECT * FROM quarantine WHERE dropped_at IS NOT NULL
ON CONFLICT (stream, position) DO NOTHING;
