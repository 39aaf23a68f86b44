-- name: create
-- The first of a name and digest stays.
INSERT INTO datasets (experiment_id, name, digest, source_type, source, schema, profile)
SELECT DISTINCT ON (experiment_id, name, digest) experiment_id, name, digest, source_type, source, schema, profile
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    WITH ORDINALITY AS dataset (experiment_id, name, digest, source_type, source, schema, profile, position)
ORDER BY experiment_id, name, digest, position
ON CONFLICT (experiment_id, name, digest) DO NOTHING;

-- name: log_input
INSERT INTO dataset_inputs (run_id, name, digest, experiment_id, context, tag_keys, tag_values)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (run_id, name, digest) DO NOTHING;
