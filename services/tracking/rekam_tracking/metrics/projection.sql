-- name: known_key_sets
SELECT hash, key_set_id, cardinality(key_ids) AS columns FROM key_sets WHERE hash = ANY($1::bytea[])

-- name: add_keys
INSERT INTO metric_keys (key) SELECT unnest($1::text[]) ON CONFLICT (key) DO NOTHING

-- name: key_ids
SELECT key, key_id FROM metric_keys WHERE key = ANY($1::text[])

-- name: add_key_set
INSERT INTO key_sets (hash, key_ids) VALUES ($1, $2::int[]) ON CONFLICT (hash) DO NOTHING RETURNING key_set_id

-- name: add_columns
INSERT INTO key_set_columns (key_id, key_set_id, column_index)
SELECT key_id, $1, place - 1 FROM unnest($2::int[]) WITH ORDINALITY AS keys (key_id, place)
ON CONFLICT DO NOTHING

-- name: received
SELECT w.run_id, w.writer, w.received
FROM writers w JOIN unnest($1::uuid[], $2::text[]) AS asked (run_id, writer) USING (run_id, writer)
FOR UPDATE OF w

-- name: receive
INSERT INTO writers AS w (run_id, writer, rank, received, points)
SELECT run_id, writer, rank, received::int8multirange, points
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::bigint[])
    AS new (run_id, writer, rank, received, points)
ON CONFLICT (run_id, writer) DO UPDATE SET
    rank = coalesce(excluded.rank, w.rank),
    received = w.received + excluded.received,
    points = w.points + excluded.points

-- name: set_live
INSERT INTO metric_live AS live (run_id, key_set_id, step, time_us, "values")
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (run_id, key_set_id) DO UPDATE SET
    step = excluded.step,
    time_us = excluded.time_us,
    "values" = CASE
        WHEN (excluded.step, excluded.time_us) > (live.step, live.time_us) THEN excluded."values"
        ELSE greatest_values(live."values", excluded."values")
    END
WHERE (excluded.step, excluded.time_us) >= (live.step, live.time_us)
