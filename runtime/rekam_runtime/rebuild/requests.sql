-- name: start
INSERT INTO public.projection_rebuild (actor, accept_differences) VALUES ($1, $2)
ON CONFLICT ((ended_at IS NULL)) WHERE ended_at IS NULL DO NOTHING
RETURNING rebuild_id;

-- name: find
-- $1: 0 for the last one.
SELECT *, (SELECT number FROM public.projection_generation WHERE state = 'active') AS active
FROM public.projection_rebuild
WHERE $1 = 0 OR rebuild_id = $1
ORDER BY rebuild_id DESC LIMIT 1;

-- name: going_on
SELECT *, (SELECT number FROM public.projection_generation WHERE state = 'active') AS active
FROM public.projection_rebuild WHERE ended_at IS NULL;

-- name: streams
SELECT stream, position, target, records, points, bytes
FROM public.projection_rebuild_stream WHERE rebuild_id = $1 ORDER BY stream;

-- name: pause
UPDATE public.projection_rebuild SET paused = $1 WHERE ended_at IS NULL RETURNING rebuild_id;

-- name: cancel
UPDATE public.projection_rebuild SET cancelled = true WHERE ended_at IS NULL RETURNING rebuild_id;

-- name: assign
UPDATE public.projection_rebuild SET generation = $2 WHERE rebuild_id = $1;

-- name: reach
UPDATE public.projection_rebuild SET state = $2, message = $3 WHERE rebuild_id = $1 AND ended_at IS NULL;

-- name: say
UPDATE public.projection_rebuild SET message = $2 WHERE rebuild_id = $1 AND message <> $2;

-- name: finish
UPDATE public.projection_rebuild
SET state = $2, message = $3, ended_at = now(),
    records_per_s = NULL, points_per_s = NULL, bytes_per_s = NULL, left_s = NULL
WHERE rebuild_id = $1 AND ended_at IS NULL
RETURNING rebuild_id;

-- name: differs
UPDATE public.projection_rebuild SET differing = $2, differences = $3::jsonb WHERE rebuild_id = $1;

-- name: compared
UPDATE public.projection_rebuild SET comparing_s = comparing_s + $2 WHERE rebuild_id = $1;

-- name: went_on
UPDATE public.projection_rebuild
SET projecting_s = projecting_s + $2, records_per_s = $3, points_per_s = $4, bytes_per_s = $5, left_s = $6
WHERE rebuild_id = $1;

-- name: begin_stream
-- At the position of the tables, which are what counts.
INSERT INTO public.projection_rebuild_stream (rebuild_id, stream, position) VALUES ($1, $2, $3)
ON CONFLICT (rebuild_id, stream) DO UPDATE SET position = excluded.position;

-- name: aim
UPDATE public.projection_rebuild_stream SET target = $3 WHERE rebuild_id = $1 AND stream = $2;

-- name: count
UPDATE public.projection_rebuild_stream
SET position = $3, records = records + $4, points = points + $5, bytes = bytes + $6
WHERE rebuild_id = $1 AND stream = $2;

-- name: dropped
-- Of the stream, past $2 up to $3: an operator decided that they are never applied.
SELECT position FROM quarantine
WHERE stream = $1 AND position > $2 AND position <= $3 AND dropped_at IS NOT NULL;

-- name: fence
-- Waits for the batches that are being committed; those that come wait until the transaction ends.
SELECT pg_advisory_xact_lock(7310868770017125);
