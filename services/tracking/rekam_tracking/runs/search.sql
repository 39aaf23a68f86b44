-- Fragments of a search for runs, put together by conditions.py, ordering.py and statement.py.
-- What braces hold are placeholders ($n) and other fragments of this file, never text of a user.
--
-- `matches` becomes a join, which the planner may start from. `probe` is looked up run by run
-- and never a join, so that planning stays linear in the number of conditions.

-- name: settings
-- A search is planned for its very values: a walk along an index for a filter that matches
-- much, from the filter's rows for one that matches little. Indexes are in memory or on an
-- SSD, and no search is long enough to be worth the start of a parallel worker.
-- `live`: some runs have latest values that are not settled in metric_latest yet.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('random_page_cost', '1.1', true),
       set_config('max_parallel_workers_per_gather', '0', true),
       EXISTS (SELECT FROM metric_live) AS live,
       ARRAY(SELECT key FROM metric_keys WHERE key = ANY($1::text[]) ORDER BY key) AS keys,
       ARRAY(SELECT key_id FROM metric_keys WHERE key = ANY($1::text[]) ORDER BY key) AS key_ids

-- name: found
-- What was found is read by its keys, whatever they are: planned once for a connection.
SELECT set_config('plan_cache_mode', 'force_generic_plan', true)

-- name: matches
EXISTS (SELECT FROM {source} WHERE {found} AND {condition})

-- name: probe
coalesce((SELECT {condition} FROM {source} WHERE {found}), false)

-- name: probe_any
coalesce((SELECT bool_or({condition}) FROM {source} WHERE {found}), false)

-- name: input
v.run_id = r.run_id AND v.experiment_id = r.experiment_id

-- name: missing
NOT EXISTS (SELECT FROM {source} WHERE {found})

-- name: keyed_value
{v}.run_id = r.run_id AND {v}.key = {key}

-- name: settled_metric
{v}.run_id = r.run_id AND {v}.key_id = {key}

-- name: live_metric
{v}.run_id = r.run_id

-- name: live_latest
-- Latest value of one metric for every run with live rows: the greatest of step, time, value.
{name} AS MATERIALIZED (
    SELECT DISTINCT ON (run_id) run_id, value
    FROM (
        SELECT l.run_id, l.step, l.time_us, l."values"[c.column_index + 1] AS value
        FROM key_set_columns c JOIN metric_live l USING (key_set_id)
        WHERE c.key_id = {key}
        UNION ALL
        SELECT m.run_id, m.step, m.time_us, m.value
        FROM metric_latest m
        WHERE m.key_id = {key} AND m.run_id IN (SELECT run_id FROM metric_live)
    ) points
    ORDER BY run_id, step DESC, time_us DESC, metric_rank(value) DESC, value
)

-- name: is_live
EXISTS (SELECT FROM metric_live l WHERE l.run_id = r.run_id)

-- name: is_settled
NOT EXISTS (SELECT FROM metric_live l WHERE l.run_id = r.run_id)

-- name: branch
(SELECT {columns}
 FROM runs r {joins}
 WHERE {conditions}
 ORDER BY {order}
 LIMIT {limit})

-- name: page
{latest}
SELECT * FROM (
{branches}
) page
ORDER BY {order}
LIMIT {limit}
