-- name: current
SELECT model_id, request_id, version, state, request
FROM unnest($1::uuid[], $2::bigint[]) AS asked (model_id, request_id)
JOIN transitions USING (model_id, request_id)
WHERE until_position = 9223372036854775807

-- name: pending
SELECT model_id, request_id, version, state, request FROM transitions
WHERE model_id = $1 AND version = $2 AND state = $3 AND until_position = 9223372036854775807

-- name: close
UPDATE transitions SET until_position = ended.position, until_us = ended.time_us
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) AS ended (model_id, request_id, position, time_us)
WHERE transitions.model_id = ended.model_id AND transitions.request_id = ended.request_id
    AND until_position = 9223372036854775807

-- name: insert
INSERT INTO transitions (model_id, request_id, version, state, request,
                         from_position, until_position, from_us, until_us)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bytea[],
                     $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])

-- name: close_all
UPDATE transitions SET until_position = $2, until_us = $3
WHERE model_id = $1 AND until_position = 9223372036854775807
