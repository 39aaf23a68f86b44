-- name: run_exists
SELECT EXISTS (SELECT FROM runs WHERE run_id = $1)

-- name: list_metrics
SELECT k.key, sum(chunks.rows)::bigint AS points
FROM (SELECT key_set_id, sum(rows) AS rows FROM metric_chunks WHERE run_id = $1 GROUP BY key_set_id) AS chunks
JOIN key_set_columns c USING (key_set_id) JOIN metric_keys k USING (key_id)
GROUP BY k.key ORDER BY k.key

-- name: chunks
-- Chunks that may hold points of a series within bounds, by their first point.
SELECT m.chunk_id, m.rows, m.time_min, c.column_index
FROM metric_keys k JOIN key_set_columns c USING (key_id)
JOIN metric_chunks m ON m.key_set_id = c.key_set_id AND m.run_id = $1
WHERE k.key = $2 AND m.step_max >= $3 AND m.step_min <= $4 AND m.time_max >= $5 AND m.time_min <= $6
    AND ($7 = '' OR m.writer = $7)
ORDER BY m.time_min, m.chunk_id

-- name: columns
-- Steps, times and one column's values of chunks; what is not wanted is empty.
SELECT
    CASE WHEN $4 THEN m.steps ELSE '' END AS steps,
    CASE WHEN $5 THEN m.times_us ELSE '' END AS times_us,
    substring(m."values" FROM wanted.column_index * m.rows * 8 + 1 FOR m.rows * 8) AS "values"
FROM unnest($1::bigint[], $2::int[]) WITH ORDINALITY AS wanted (chunk_id, column_index, place)
JOIN metric_chunks m USING (chunk_id)
WHERE m.run_id = $3
ORDER BY wanted.place

-- name: writers
SELECT writer, rank, received, points FROM writers WHERE run_id = $1 ORDER BY writer
