-- name: settle
-- Live rows of runs that have ended, folded into one row a key.
WITH ended AS (
    SELECT live.run_id FROM metric_live live JOIN runs r USING (run_id)
    WHERE r.status IN (3, 4, 5) GROUP BY live.run_id ORDER BY live.run_id LIMIT $1
), taken AS (
    DELETE FROM metric_live live USING ended WHERE live.run_id = ended.run_id RETURNING live.*
), greatest AS (
    SELECT DISTINCT ON (taken.run_id, sets.key_id)
        taken.run_id, sets.key_id, taken."values"[sets.column_index + 1] AS value, taken.step, taken.time_us
    FROM taken JOIN key_set_columns sets USING (key_set_id)
    ORDER BY taken.run_id, sets.key_id, taken.step DESC, taken.time_us DESC,
        metric_rank(taken."values"[sets.column_index + 1]) DESC
), kept AS (
    INSERT INTO metric_latest AS latest (run_id, key_id, value, step, time_us)
    SELECT run_id, key_id, value, step, time_us FROM greatest
    ON CONFLICT (run_id, key_id) DO UPDATE SET
        value = excluded.value, step = excluded.step, time_us = excluded.time_us
    WHERE (excluded.step, excluded.time_us, metric_rank(excluded.value))
        > (latest.step, latest.time_us, metric_rank(latest.value))
)
SELECT count(*) FROM ended

-- name: crowded
-- Series with many small chunks: few rows, and few bytes (a wide key set has few rows for ever).
SELECT run_id, key_set_id, writer FROM metric_chunks WHERE rows < 1024 AND octet_length("values") < 1048576
GROUP BY run_id, key_set_id, writer HAVING count(*) >= $1 ORDER BY count(*) DESC LIMIT $2

-- name: take_small
WITH small AS (
    SELECT chunk_id, octet_length("values") AS size FROM metric_chunks
    WHERE run_id = $1 AND key_set_id = $2 AND writer = $3 AND rows < 1024
        AND octet_length("values") < 1048576
    ORDER BY chunk_id LIMIT $4 FOR UPDATE SKIP LOCKED
), bounded AS (
    SELECT chunk_id FROM (SELECT chunk_id, sum(size) OVER (ORDER BY chunk_id) AS total FROM small) AS summed
    WHERE total <= $5
), taken AS (
    DELETE FROM metric_chunks chunk USING bounded WHERE chunk.chunk_id = bounded.chunk_id RETURNING chunk.*
)
SELECT rows, steps, times_us, "values" FROM taken ORDER BY chunk_id

-- name: add_merged
INSERT INTO metric_chunks
    (run_id, key_set_id, writer, rows, step_min, step_max, time_min, time_max, steps, times_us, "values")
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
