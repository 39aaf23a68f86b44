-- name: create
INSERT INTO logged_models (model_id, experiment_id, name, status, created_ms, updated_ms, artifact_uri,
                           model_type, source_run_id)
SELECT model_id, experiment_id, name, $8::smallint, created_ms, created_ms, artifact_uri,
       nullif(model_type, ''), nullif(source_run_id, '')
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
    AS created (model_id, experiment_id, name, created_ms, artifact_uri, model_type, source_run_id)
ON CONFLICT (model_id) DO NOTHING;

-- name: update
-- NULL leaves a column as it is.
UPDATE logged_models
SET updated_ms = change.updated_ms,
    status = coalesce(change.status, logged_models.status),
    lifecycle = coalesce(change.lifecycle, logged_models.lifecycle)
FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::smallint[])
    AS change (model_id, updated_ms, status, lifecycle)
WHERE logged_models.model_id = change.model_id;

-- name: log_params
INSERT INTO logged_model_params (model_id, key, value)
SELECT model_id, key, value FROM unnest($1::text[], $2::text[], $3::text[]) AS param (model_id, key, value)
ON CONFLICT (model_id, key) DO NOTHING;

-- name: set_tags
INSERT INTO logged_model_tags (model_id, key, value)
SELECT model_id, key, value FROM unnest($1::text[], $2::text[], $3::text[]) AS tag (model_id, key, value)
ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value;

-- name: delete_tags
DELETE FROM logged_model_tags USING unnest($1::text[], $2::text[]) AS tag (model_id, key)
WHERE logged_model_tags.model_id = tag.model_id AND logged_model_tags.key = tag.key;

-- name: log_metrics
-- Of values that are equal in all columns one is kept.
INSERT INTO logged_model_metrics (model_id, key, value, step, time_us, dataset_name, dataset_digest, run_id)
SELECT DISTINCT *
FROM unnest($1::text[], $2::text[], $3::float8[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[])
    AS metric (model_id, key, value, step, time_us, dataset_name, dataset_digest, run_id)
WHERE NOT EXISTS (
    SELECT FROM logged_model_metrics kept
    WHERE (kept.model_id, kept.key, kept.time_us, kept.step, kept.value)
          = (metric.model_id, metric.key, metric.time_us, metric.step, metric.value)
      AND (kept.dataset_name, kept.dataset_digest, kept.run_id)
          = (metric.dataset_name, metric.dataset_digest, metric.run_id)
);
