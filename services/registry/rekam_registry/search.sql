-- Fragments of searches, put together by search.py. What braces hold are placeholders ($n), the moment and
-- other fragments of this file, never text of a user.

-- name: page
SELECT {columns}
FROM {table} s {joined}
WHERE {at:s} AND {conditions}
ORDER BY {order}
LIMIT {limit}

-- name: page_of_few
-- Of a condition that few meet: those are looked up one by one (OFFSET 0 says so, whatever the planner thinks of
-- their number), then sorted.
WITH few AS MATERIALIZED ({few})
SELECT {columns}
FROM few CROSS JOIN LATERAL (SELECT s.* FROM {table} s WHERE {same_owner} AND {at:s} OFFSET 0) s {joined}
WHERE {conditions}
ORDER BY {order}
LIMIT {limit}

-- name: settings
-- A search is planned for its very values: a walk of its order for a filter that matches much, from the filter's rows
-- for one that matches little. No search is long enough to be worth the start of a parallel worker.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('random_page_cost', '1.1', true),
       set_config('max_parallel_workers_per_gather', '0', true){counts}

-- name: found
-- What was found is read by its keys, whatever they are: planned once for a connection.
SELECT set_config('plan_cache_mode', 'force_generic_plan', true)

-- name: counted
-- How many there are, counted up to a limit: an index is walked.
(SELECT count(*) FROM ({few} LIMIT {limit}) AS counted)

-- name: tagged
SELECT {owner_of_tag} FROM {tags} t WHERE t.key = {key} AND {condition} AND {at:t}

-- name: versions_by_name
SELECT v.model_id, v.version
FROM (SELECT m.model_id FROM model_states m WHERE {condition} AND {at:m} OFFSET 0) m
CROSS JOIN LATERAL (
    SELECT s.model_id, s.version FROM version_states s WHERE s.model_id = m.model_id AND {at:s} OFFSET 0
) v

-- name: one_of
({owner}) IN ({found})

-- name: not_one_of
({owner}) NOT IN ({found})

-- name: tag_matches
coalesce((SELECT {condition} FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t}), false)

-- name: tag_missing
NOT EXISTS (SELECT FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t})

-- name: tag_or_false
coalesce((SELECT t.value FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t}), 'false')
