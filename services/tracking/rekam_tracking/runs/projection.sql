-- name: create
-- A run that was created while its experiment was being deleted is deleted with it.
INSERT INTO runs (run_id, experiment_id, name, user_name, status, start_ms, lifecycle, artifact_uri)
SELECT run_id, created.experiment_id, created.name, user_name, $7::smallint, nullif(start_ms, 0),
       coalesce(experiments.lifecycle, 0), artifact_uri
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[])
    AS created (run_id, experiment_id, name, user_name, start_ms, artifact_uri)
LEFT JOIN experiments ON experiments.experiment_id = created.experiment_id
ON CONFLICT (run_id) DO NOTHING;

-- name: update
-- NULL leaves a column as it is; an end of 0 takes it away.
UPDATE runs
SET name = coalesce(change.name, runs.name),
    status = coalesce(change.status, runs.status),
    end_ms = CASE WHEN change.end_ms IS NULL THEN runs.end_ms ELSE nullif(change.end_ms, 0) END,
    lifecycle = coalesce(change.lifecycle, runs.lifecycle)
FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::bigint[], $5::smallint[])
    AS change (run_id, name, status, end_ms, lifecycle)
WHERE runs.run_id = change.run_id;

-- name: set_lifecycle_of_experiment
UPDATE runs SET lifecycle = $2 WHERE experiment_id = $1 AND lifecycle <> $2;

-- name: log_params
INSERT INTO params (run_id, key, value)
SELECT run_id, key, value FROM unnest($1::uuid[], $2::text[], $3::text[]) AS param (run_id, key, value)
ON CONFLICT (run_id, key) DO NOTHING;

-- name: set_tags
INSERT INTO tags (run_id, key, value)
SELECT run_id, key, value FROM unnest($1::uuid[], $2::text[], $3::text[]) AS tag (run_id, key, value)
ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value;

-- name: delete_tags
DELETE FROM tags USING unnest($1::uuid[], $2::text[]) AS tag (run_id, key)
WHERE tags.run_id = tag.run_id AND tags.key = tag.key;

-- name: log_model_inputs
INSERT INTO model_inputs (run_id, model_id)
SELECT run_id, model_id FROM unnest($1::uuid[], $2::text[]) AS model (run_id, model_id)
ON CONFLICT (run_id, model_id) DO NOTHING;

-- name: log_model_outputs
INSERT INTO model_outputs (run_id, model_id, step)
SELECT run_id, model_id, step FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS model (run_id, model_id, step)
ON CONFLICT (run_id, model_id) DO NOTHING;
