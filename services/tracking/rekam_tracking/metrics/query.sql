-- name: list_metrics
SELECT k.key, sum(r.rows)::bigint AS points
FROM run_key_sets r
JOIN key_sets s USING (key_set_id), unnest(s.key_ids) AS c (key_id)
JOIN metric_keys k USING (key_id)
WHERE r.run_id = $1
GROUP BY k.key
ORDER BY k.key

-- name: chunks
SELECT m.key_set_id, m.chunk_id, c.column_index - m.first_column AS place, m.rows,
       m.step_min, m.step_max, m.step_stride, m.time_min, m.time_max, m.writer_id
FROM metric_keys k
JOIN key_set_columns c USING (key_id)
JOIN run_key_sets r ON r.run_id = $1 AND r.key_set_id = c.key_set_id
JOIN metric_chunks m ON m.run_id = $1 AND m.key_set_id = c.key_set_id
WHERE k.key = $2
  AND c.column_index >= m.first_column AND c.column_index < m.first_column + m.columns
  AND m.step_max >= $3 AND m.step_min <= $4 AND m.time_max >= $5 AND m.time_min <= $6
  AND ($7::bigint[] IS NULL OR m.writer_id = ANY($7))
ORDER BY m.time_min, m.step_min, m.chunk_id

-- name: points
-- Of each chunk the steps, the times and one column, and nothing else is read from disk.
-- In any order: a sort would write all of it to a temporary file.
SELECT asked.number, m.codec,
       CASE WHEN $5 THEN m.steps END AS steps,
       CASE WHEN $6 THEN m.times_us END AS times_us,
       CASE m.codec
           WHEN 0 THEN substring(m.values FROM place * m.rows * 8 + 1 FOR m.rows * 8)
           ELSE substring(m.values FROM coalesce(m.column_ends[place], 0) + 1
                          FOR m.column_ends[place + 1] - coalesce(m.column_ends[place], 0))
       END AS values
FROM unnest($2::int[], $3::bigint[], $4::int[]) WITH ORDINALITY AS asked (key_set_id, chunk_id, place, number)
JOIN metric_chunks m ON m.run_id = $1 AND m.key_set_id = asked.key_set_id AND m.chunk_id = asked.chunk_id

-- name: writers
SELECT writer, rank, received, points, heard_us, heartbeat_ms FROM writers WHERE run_id = $1 ORDER BY writer

-- name: ranks
SELECT rank, array_agg(writer ORDER BY writer) AS writers, sum(points)::bigint AS points
FROM writers WHERE run_id = $1 GROUP BY rank ORDER BY rank NULLS FIRST
