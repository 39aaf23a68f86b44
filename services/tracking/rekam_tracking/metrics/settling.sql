-- name: settle
-- Live rows of runs that have ended (FINISHED, FAILED, KILLED, CRASHED) or gone quiet become one
-- row per key. Rows that a projector is writing are passed over: they are not quiet.
WITH due AS (
    SELECT l.run_id, l.key_set_id, cardinality(l.values) AS size
    FROM metric_live l LEFT JOIN runs r USING (run_id)
    WHERE r.status IN (3, 4, 5, 6) OR l.changed_at < now() - $2::interval
    LIMIT 5000
), waiting AS (
    SELECT run_id, key_set_id, sum(size) OVER (ORDER BY run_id, key_set_id) - size AS before FROM due
), locked AS (
    SELECT l.run_id, l.key_set_id
    FROM metric_live l JOIN waiting w USING (run_id, key_set_id)
    WHERE w.before < $1
    FOR UPDATE OF l SKIP LOCKED
), taken AS (
    DELETE FROM metric_live l USING locked
    WHERE l.run_id = locked.run_id AND l.key_set_id = locked.key_set_id
    RETURNING l.run_id, l.key_set_id, l.step, l.time_us, l.values
), kept AS (
    INSERT INTO metric_latest AS latest (run_id, key_id, value, step, time_us)
    SELECT DISTINCT ON (t.run_id, v.key_id) t.run_id, v.key_id, v.value, t.step, t.time_us
    FROM taken t JOIN key_sets s USING (key_set_id), unnest(s.key_ids, t.values) AS v (key_id, value)
    ORDER BY t.run_id, v.key_id, t.step DESC, t.time_us DESC, metric_rank(v.value) DESC
    ON CONFLICT (run_id, key_id) DO UPDATE
    SET value = excluded.value, step = excluded.step, time_us = excluded.time_us
    WHERE (excluded.step, excluded.time_us, metric_rank(excluded.value))
        > (latest.step, latest.time_us, metric_rank(latest.value))
)
SELECT count(*) FROM taken
