-- name: missing_run
SELECT run_id FROM unnest($1::uuid[]) AS asked (run_id)
WHERE NOT EXISTS (SELECT FROM runs WHERE runs.run_id = asked.run_id)
LIMIT 1
