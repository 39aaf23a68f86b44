-- name: key_sets
-- By content: what their ids stand for.
SELECT ('key set ' || encode(hash, 'hex')) COLLATE "C" AS owner, count(*), sum(hashtextextended(column_index || ' ' || key, 0))
FROM key_sets JOIN key_set_columns USING (key_set_id) JOIN metric_keys USING (key_id)
GROUP BY hash
ORDER BY owner

-- name: rows_of_key_sets
SELECT 'run ' || run_id, count(*), sum(hashtextextended(encode(hash, 'hex') || ' ' || rows, 0))
FROM run_key_sets JOIN key_sets USING (key_set_id)
GROUP BY run_id
ORDER BY run_id

-- name: latest_values
-- As search sees them, settled or not. A value counts as what it is in comparisons.
SELECT 'run ' || run_id, count(*),
       sum(hashtextextended(key || ' ' || step || ' ' || time_us || ' ' || (metric_rank(value) + 0.0), 0))
FROM (
    SELECT DISTINCT ON (run_id, key_id) run_id, key_id, step, time_us, value
    FROM (
        SELECT run_id, key_id, step, time_us, value FROM metric_latest
        UNION ALL
        SELECT run_id, v.key_id, step, time_us, v.value
        FROM metric_live JOIN key_sets USING (key_set_id), unnest(key_ids, values) AS v (key_id, value)
    ) every
    ORDER BY run_id, key_id, step DESC, time_us DESC, metric_rank(value) DESC
) latest JOIN metric_keys USING (key_id)
GROUP BY run_id
ORDER BY run_id

-- name: chunks
SELECT c.run_id, c.key_set_id, w.writer, c.codec, c.rows, c.first_column, c.columns, c.step_min, c.step_stride,
       c.column_ends, c.steps, c.times_us, c.values
FROM metric_chunks c JOIN writers w USING (writer_id)
ORDER BY c.run_id

-- name: keys_of
SELECT key FROM key_sets, unnest(key_ids) WITH ORDINALITY AS k (key_id, place) JOIN metric_keys USING (key_id)
WHERE key_set_id = $1 ORDER BY place
