-- For each experiment or run: owner, rows, and what they add up to.

-- name: datasets
SELECT ('experiment ' || experiment_id) COLLATE "C" AS owner, count(*), sum(hashtextextended(datasets::text, 0))
FROM datasets GROUP BY experiment_id ORDER BY owner

-- name: dataset_inputs
SELECT 'run ' || run_id, count(*), sum(hashtextextended(dataset_inputs::text, 0))
FROM dataset_inputs GROUP BY run_id ORDER BY run_id
