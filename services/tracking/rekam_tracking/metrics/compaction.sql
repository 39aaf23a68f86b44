-- name: due
-- Many small chunks; or some, and no more coming.
SELECT run_id, key_set_id, small_chunks
FROM run_key_sets
WHERE small_chunks >= $1 OR (small_chunks > 0 AND changed_at < now() - $2::interval)
ORDER BY small_chunks DESC
LIMIT $3

-- name: small_chunks
SELECT chunk_id, writer_id, codec, rows, first_column, columns, step_min, step_max, step_stride,
       time_min, time_max
FROM metric_chunks
WHERE run_id = $1 AND key_set_id = $2 AND rows < $3
ORDER BY writer_id, codec, first_column, time_min, chunk_id

-- name: lock
SELECT pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, $2::int))

-- name: axes
SELECT codec, steps, times_us FROM metric_chunks
WHERE run_id = $1 AND key_set_id = $2 AND chunk_id = ANY($3::bigint[])
ORDER BY array_position($3, chunk_id)

-- name: block
-- $5 columns from column $4 on, of plain chunks; all columns of compressed ones.
SELECT codec, rows, column_ends,
       CASE codec WHEN 0 THEN substring(values FROM $4 * rows * 8 + 1 FOR $5 * rows * 8) ELSE values END AS values
FROM metric_chunks
WHERE run_id = $1 AND key_set_id = $2 AND chunk_id = ANY($3::bigint[])
ORDER BY array_position($3, chunk_id)

-- name: drop_chunks
DELETE FROM metric_chunks WHERE run_id = $1 AND key_set_id = $2 AND chunk_id = ANY($3::bigint[])

-- name: looked_at
UPDATE run_key_sets SET small_chunks = greatest(0, small_chunks - $3) WHERE run_id = $1 AND key_set_id = $2
