-- name: close
UPDATE aliases SET until_position = ended.position, until_us = ended.time_us
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS ended (model_id, alias, position, time_us)
WHERE aliases.model_id = ended.model_id AND aliases.alias = ended.alias
    AND until_position = 9223372036854775807

-- name: insert
INSERT INTO aliases (model_id, alias, version, from_position, until_position, from_us, until_us)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])

-- name: close_all
UPDATE aliases SET until_position = $2, until_us = $3
WHERE model_id = $1 AND until_position = 9223372036854775807
