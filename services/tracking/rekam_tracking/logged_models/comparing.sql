-- For each model: owner, rows, and what they add up to.

-- name: logged_models
SELECT 'model ' || model_id, 1::bigint, hashtextextended(logged_models::text, 0)::numeric
FROM logged_models ORDER BY model_id

-- name: logged_model_params
SELECT 'model ' || model_id, count(*), sum(hashtextextended(logged_model_params::text, 0))
FROM logged_model_params GROUP BY model_id ORDER BY model_id

-- name: logged_model_tags
SELECT 'model ' || model_id, count(*), sum(hashtextextended(logged_model_tags::text, 0))
FROM logged_model_tags GROUP BY model_id ORDER BY model_id

-- name: logged_model_metrics
SELECT 'model ' || model_id, count(*), sum(hashtextextended(logged_model_metrics::text, 0))
FROM logged_model_metrics GROUP BY model_id ORDER BY model_id
