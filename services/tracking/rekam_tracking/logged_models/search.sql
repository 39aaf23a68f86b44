-- Fragments of a search for logged models, put together by conditions.py, ordering.py and query.py.
-- What braces hold are placeholders ($n) and other fragments of this file, never text of a user.
-- Conditions are looked up model by model and never become joins, so that planning stays linear in
-- their number.

-- name: matches
coalesce((SELECT {condition} FROM {table} v WHERE v.model_id = m.model_id AND v.key = {key}), false)

-- name: missing
NOT EXISTS (SELECT FROM {table} v WHERE v.model_id = m.model_id AND v.key = {key})

-- name: metric_matches
coalesce((
    SELECT bool_or({condition}) FROM logged_model_metrics v
    WHERE v.model_id = m.model_id AND v.key = {key} AND ({datasets})
), false)

-- name: has_metric
EXISTS (SELECT FROM logged_model_metrics v WHERE v.model_id = m.model_id AND ({datasets}))

-- name: ordering_value
LEFT JOIN LATERAL (
    SELECT v.value FROM logged_model_metrics v
    WHERE v.model_id = m.model_id AND v.key = {key} AND ({datasets})
    ORDER BY v.time_us DESC, v.step DESC, metric_rank(v.value) DESC, v.value
    LIMIT 1
) {alias} ON true

-- name: page
SELECT m.model_id, {columns}
FROM logged_models m {joins}
WHERE {conditions}
ORDER BY {order}
LIMIT {limit}

-- name: details
-- Models in the order asked, each with everything it has; of its metrics the latest values, up to $2 bytes.
SELECT m.*, p.param_keys, p.param_values, t.tag_keys, t.tag_values, v.metrics
FROM unnest($1::text[]) WITH ORDINALITY AS asked (model_id, position)
JOIN logged_models m USING (model_id)
CROSS JOIN LATERAL (
    SELECT array_agg(key ORDER BY key) AS param_keys, array_agg(value ORDER BY key) AS param_values
    FROM logged_model_params WHERE logged_model_params.model_id = m.model_id
) p
CROSS JOIN LATERAL (
    SELECT array_agg(key ORDER BY key) AS tag_keys, array_agg(value ORDER BY key) AS tag_values
    FROM logged_model_tags WHERE logged_model_tags.model_id = m.model_id
) t
CROSS JOIN LATERAL (
    SELECT array_agg(
               ROW(key, value, step, time_us, dataset_name, dataset_digest, run_id)
               ORDER BY key, time_us, step, metric_rank(value), value, run_id, dataset_name, dataset_digest
           ) AS metrics
    FROM (
        SELECT *, sum(64 + octet_length(key) + octet_length(dataset_name)) OVER (ORDER BY time_us DESC, step DESC) AS bytes
        FROM logged_model_metrics WHERE logged_model_metrics.model_id = m.model_id
    ) latest
    WHERE bytes <= $2::bigint
) v
ORDER BY asked.position

-- name: heavy
-- Bytes of the metrics' values of those models that have many.
SELECT model_id, sum(64 + octet_length(key) + octet_length(dataset_name)) AS bytes
FROM logged_model_metrics
WHERE model_id = ANY($1::text[])
GROUP BY model_id
HAVING sum(64 + octet_length(key) + octet_length(dataset_name)) > $2::bigint
