-- name: current
SELECT model_id, name, description, created_us, updated_us, protection FROM model_states
WHERE model_id = ANY ($1::uuid[]) AND until_position = 9223372036854775807

-- name: close
UPDATE model_states SET until_position = ended.position, until_us = ended.time_us
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS ended (model_id, position, time_us)
WHERE model_states.model_id = ended.model_id AND until_position = 9223372036854775807

-- name: insert
INSERT INTO model_states (model_id, name, description, created_us, updated_us, protection,
                          from_position, until_position, from_us, until_us)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[],
                     $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])

-- name: close_tags
UPDATE model_tags SET until_position = ended.position, until_us = ended.time_us
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS ended (model_id, key, position, time_us)
WHERE model_tags.model_id = ended.model_id AND model_tags.key = ended.key
    AND until_position = 9223372036854775807

-- name: insert_tags
INSERT INTO model_tags (model_id, key, value, from_position, until_position, from_us, until_us)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])

-- name: close_all_tags
UPDATE model_tags SET until_position = $2, until_us = $3
WHERE model_id = $1 AND until_position = 9223372036854775807
