-- name: known_key_sets
SELECT key_set_id, hash, cardinality(key_ids) AS columns FROM key_sets WHERE hash = ANY($1::bytea[])

-- name: add_keys
-- In one order for all, so that two that add the same keys wait for each other and not both.
INSERT INTO metric_keys (key) SELECT key FROM unnest($1::text[]) AS added (key) ORDER BY key
ON CONFLICT (key) DO NOTHING

-- name: key_ids
SELECT key, key_id FROM metric_keys WHERE key = ANY($1::text[])

-- name: add_key_set
WITH added AS (
    INSERT INTO key_sets (hash, key_ids) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING RETURNING key_set_id
)
INSERT INTO key_set_columns (key_id, key_set_id, column_index)
SELECT key_id, key_set_id, place - 1 FROM added, unnest($2::int[]) WITH ORDINALITY AS keys (key_id, place)

-- name: count_rows
INSERT INTO run_key_sets (run_id, key_set_id, rows, small_chunks)
SELECT run_id, key_set_id, rows, small_chunks
FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::int[]) AS added (run_id, key_set_id, rows, small_chunks)
ON CONFLICT (run_id, key_set_id) DO UPDATE
SET rows = run_key_sets.rows + excluded.rows,
    small_chunks = run_key_sets.small_chunks + excluded.small_chunks,
    changed_at = excluded.changed_at

-- name: keep_latest
-- All keys of a key set share its rows, so the row with the greatest (step, time) is the
-- latest of each. Of rows with the same, the greater value counts, NaN as 0.
INSERT INTO metric_live (run_id, key_set_id, step, time_us, values) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (run_id, key_set_id) DO UPDATE
SET step = excluded.step,
    time_us = excluded.time_us,
    values = CASE
        WHEN (excluded.step, excluded.time_us) > (metric_live.step, metric_live.time_us) THEN excluded.values
        ELSE greatest_values(metric_live.values, excluded.values)
    END,
    changed_at = excluded.changed_at
WHERE (excluded.step, excluded.time_us) >= (metric_live.step, metric_live.time_us)
