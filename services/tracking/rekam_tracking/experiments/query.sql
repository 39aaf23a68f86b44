-- name: by_name
SELECT experiment_id FROM experiments WHERE name = $1

-- name: details
-- Experiments in the order asked, each with its tags.
SELECT e.*, t.tag_keys, t.tag_values
FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (experiment_id, position)
JOIN experiments e USING (experiment_id)
CROSS JOIN LATERAL (
    SELECT array_agg(key ORDER BY key) AS tag_keys, array_agg(value ORDER BY key) AS tag_values
    FROM experiment_tags WHERE experiment_tags.experiment_id = e.experiment_id
) t
ORDER BY asked.position

-- name: page
-- Braces hold placeholders and the fragments below, never text of a user.
SELECT {columns}
FROM experiments e
WHERE {conditions}
ORDER BY {order}
LIMIT {limit}

-- name: tag_matches
coalesce((SELECT {condition} FROM experiment_tags v WHERE v.experiment_id = e.experiment_id AND v.key = {key}), false)

-- name: tag_missing
NOT EXISTS (SELECT FROM experiment_tags v WHERE v.experiment_id = e.experiment_id AND v.key = {key})
