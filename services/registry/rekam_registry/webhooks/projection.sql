-- name: create
INSERT INTO webhooks (webhook_id, created_position, created_us) VALUES ($1, $2, $3)

-- name: close
UPDATE webhook_states SET until_position = ended.position, until_us = ended.time_us
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS ended (webhook_id, position, time_us)
WHERE webhook_states.webhook_id = ended.webhook_id AND until_position = 9223372036854775807

-- name: insert
INSERT INTO webhook_states (webhook_id, webhook, sealed_secret, from_position, until_position, from_us, until_us)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
