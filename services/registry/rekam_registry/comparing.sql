-- For each model or webhook: owner, rows, and what they add up to.

-- name: model_states
SELECT 'model ' || model_id, count(*), sum(hashtextextended(model_states::text, 0))
FROM model_states GROUP BY model_id ORDER BY model_id

-- name: model_tags
SELECT 'model ' || model_id, count(*), sum(hashtextextended(model_tags::text, 0))
FROM model_tags GROUP BY model_id ORDER BY model_id

-- name: versions
SELECT 'model ' || model_id, count(*), sum(hashtextextended(versions::text, 0))
FROM versions GROUP BY model_id ORDER BY model_id

-- name: version_states
SELECT 'model ' || model_id, count(*), sum(hashtextextended(version_states::text, 0))
FROM version_states GROUP BY model_id ORDER BY model_id

-- name: version_tags
SELECT 'model ' || model_id, count(*), sum(hashtextextended(version_tags::text, 0))
FROM version_tags GROUP BY model_id ORDER BY model_id

-- name: aliases
SELECT 'model ' || model_id, count(*), sum(hashtextextended(aliases::text, 0))
FROM aliases GROUP BY model_id ORDER BY model_id

-- name: transitions
SELECT 'model ' || model_id, count(*), sum(hashtextextended(transitions::text, 0))
FROM transitions GROUP BY model_id ORDER BY model_id

-- name: changes
SELECT 'model ' || model_id, count(*), sum(hashtextextended(changes::text, 0))
FROM changes GROUP BY model_id ORDER BY model_id

-- name: change_parts
SELECT 'model ' || model_id, count(*), sum(hashtextextended(change_parts::text, 0))
FROM change_parts GROUP BY model_id ORDER BY model_id

-- name: webhooks
SELECT 'webhook ' || webhook_id, count(*), sum(hashtextextended(webhooks::text, 0))
FROM webhooks GROUP BY webhook_id ORDER BY webhook_id

-- name: webhook_states
SELECT 'webhook ' || webhook_id, count(*), sum(hashtextextended(webhook_states::text, 0))
FROM webhook_states GROUP BY webhook_id ORDER BY webhook_id
