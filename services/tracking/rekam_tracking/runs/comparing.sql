-- For each run: owner, rows, and what they add up to.

-- name: runs
SELECT 'run ' || run_id, 1::bigint, hashtextextended(runs::text, 0)::numeric FROM runs ORDER BY run_id

-- name: params
SELECT 'run ' || run_id, count(*), sum(hashtextextended(params::text, 0))
FROM params GROUP BY run_id ORDER BY run_id

-- name: tags
SELECT 'run ' || run_id, count(*), sum(hashtextextended(tags::text, 0))
FROM tags GROUP BY run_id ORDER BY run_id

-- name: model_inputs
SELECT 'run ' || run_id, count(*), sum(hashtextextended(model_inputs::text, 0))
FROM model_inputs GROUP BY run_id ORDER BY run_id

-- name: model_outputs
SELECT 'run ' || run_id, count(*), sum(hashtextextended(model_outputs::text, 0))
FROM model_outputs GROUP BY run_id ORDER BY run_id
