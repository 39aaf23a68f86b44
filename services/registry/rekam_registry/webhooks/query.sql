-- name: get
SELECT w.created_us, s.from_us, s.webhook, s.sealed_secret
FROM webhooks w JOIN webhook_states s USING (webhook_id)
WHERE w.webhook_id = $1 AND s.until_position = 9223372036854775807

-- name: page
SELECT w.created_position, w.created_us, s.from_us, s.webhook
FROM webhooks w JOIN webhook_states s USING (webhook_id)
WHERE w.created_position < $1 AND s.until_position = 9223372036854775807
ORDER BY w.created_position DESC
LIMIT $2

-- name: count
SELECT count(*) FROM webhook_states WHERE until_position = 9223372036854775807
