-- name: add
INSERT INTO versions (model_id, version, source, location, run_id, run_link, logged_model_id, digest, signature,
                      user_name, created_us, copied_from)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bytea[])

-- name: current
SELECT model_id, version, name, stage, description, created_us, updated_us
FROM unnest($1::uuid[], $2::bigint[]) AS asked (model_id, version)
JOIN version_states USING (model_id, version)
WHERE until_position = 9223372036854775807

-- name: close
UPDATE version_states SET until_position = ended.position, until_us = ended.time_us
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) AS ended (model_id, version, position, time_us)
WHERE version_states.model_id = ended.model_id AND version_states.version = ended.version
    AND until_position = 9223372036854775807

-- name: insert
INSERT INTO version_states (model_id, version, name, stage, description, created_us, updated_us,
                            from_position, until_position, from_us, until_us)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::smallint[], $5::text[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])

-- name: close_all
UPDATE version_states SET until_position = $2, until_us = $3
WHERE model_id = $1 AND until_position = 9223372036854775807

-- name: rename_all
-- The old rows end, and new ones begin with all that was true.
WITH ended AS (
    UPDATE version_states SET until_position = $3, until_us = $4
    WHERE model_id = $1 AND until_position = 9223372036854775807
    RETURNING *
)
INSERT INTO version_states (model_id, version, name, stage, description, created_us, updated_us,
                            from_position, until_position, from_us, until_us)
SELECT model_id, version, $2, stage, description, created_us, $4, $3, 9223372036854775807, $4, 9223372036854775807
FROM ended

-- name: close_tags
UPDATE version_tags SET until_position = ended.position, until_us = ended.time_us
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
    AS ended (model_id, version, key, position, time_us)
WHERE version_tags.model_id = ended.model_id AND version_tags.version = ended.version
    AND version_tags.key = ended.key AND until_position = 9223372036854775807

-- name: insert_tags
INSERT INTO version_tags (model_id, version, key, value, from_position, until_position, from_us, until_us)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[],
                     $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])

-- name: close_tags_of_version
UPDATE version_tags SET until_position = $3, until_us = $4
WHERE model_id = $1 AND version = $2 AND until_position = 9223372036854775807

-- name: close_tags_of_model
UPDATE version_tags SET until_position = $2, until_us = $3
WHERE model_id = $1 AND until_position = 9223372036854775807
