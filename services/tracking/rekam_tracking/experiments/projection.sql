-- name: create
INSERT INTO experiments (experiment_id, name, artifact_location, created_ms, updated_ms)
SELECT experiment_id, name, artifact_location, created_ms, created_ms
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
    AS created (experiment_id, name, artifact_location, created_ms)
ON CONFLICT (experiment_id) DO NOTHING;

-- name: rename
UPDATE experiments SET name = $2, updated_ms = $3 WHERE experiment_id = $1;

-- name: set_lifecycle
UPDATE experiments SET lifecycle = $2, updated_ms = $3 WHERE experiment_id = $1;

-- name: set_tags
INSERT INTO experiment_tags (experiment_id, key, value)
SELECT experiment_id, key, value FROM unnest($1::bigint[], $2::text[], $3::text[]) AS tag (experiment_id, key, value)
ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value;

-- name: delete_tags
DELETE FROM experiment_tags USING unnest($1::bigint[], $2::text[]) AS tag (experiment_id, key)
WHERE experiment_tags.experiment_id = tag.experiment_id AND experiment_tags.key = tag.key;
