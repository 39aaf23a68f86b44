-- name: summaries
SELECT DISTINCT experiment_id, name, digest, context
FROM dataset_inputs
WHERE experiment_id = ANY($1::bigint[])
ORDER BY experiment_id, name, digest, context
LIMIT $2
