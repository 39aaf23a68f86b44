-- name: find
-- The model that has the name, the version that is meant, and the position that this is true at.
SELECT m.model_id, ({version}) AS version,
       (SELECT position FROM projection_position WHERE stream = $2) AS position
FROM model_states m
WHERE m.name = $1 AND {at:m}

-- name: model
SELECT m.model_id FROM model_states m WHERE m.name = $1 AND {at:m}

-- Fragments of `find`.

-- name: numbered
SELECT s.version FROM version_states s WHERE s.model_id = m.model_id AND s.version = $3 AND {at:s}

-- name: aliased
SELECT a.version FROM aliases a WHERE a.model_id = m.model_id AND a.alias = $3 AND {at:a}

-- name: staged
SELECT s.version FROM version_states s
WHERE s.model_id = m.model_id AND s.stage = $3 AND {at:s}
ORDER BY s.version DESC LIMIT 1

-- name: highest
SELECT s.version FROM version_states s
WHERE s.model_id = m.model_id AND {at:s}
ORDER BY s.version DESC LIMIT 1
