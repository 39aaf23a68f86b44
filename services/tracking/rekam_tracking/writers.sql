-- name: lock_writers
SELECT writer_id, writers.run_id, writers.writer, received
FROM unnest($1::uuid[], $2::text[]) AS asked (run_id, writer)
JOIN writers USING (run_id, writer)
ORDER BY writer_id
FOR UPDATE OF writers

-- name: add_writers
INSERT INTO writers (run_id, writer, rank)
SELECT run_id, writer, rank FROM unnest($1::uuid[], $2::text[], $3::int[]) AS added (run_id, writer, rank)
ON CONFLICT (run_id, writer) DO NOTHING

-- name: receive
UPDATE writers
SET received = writers.received + change.received::int8multirange,
    points = writers.points + change.points,
    heard_us = greatest(writers.heard_us, change.heard_us),
    beat_us = greatest(writers.beat_us, change.beat_us),
    heartbeat_ms = coalesce(change.heartbeat_ms, writers.heartbeat_ms)
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[])
    AS change (writer_id, received, points, heard_us, beat_us, heartbeat_ms)
WHERE writers.writer_id = change.writer_id

-- name: watch
INSERT INTO watched_runs (run_id) SELECT unnest($1::uuid[])
ON CONFLICT (run_id) DO NOTHING
