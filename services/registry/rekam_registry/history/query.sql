-- name: page
SELECT c.change, c.position
FROM change_parts p JOIN changes c USING (position)
WHERE p.model_id = $1 AND p.part = $2 AND p.position < $3 AND {until}
ORDER BY p.position DESC
LIMIT $4

-- name: owner
-- The model that has the name at the moment, else the one that had it last before.
SELECT m.model_id FROM model_states m
WHERE m.name = $1 AND {begun}
ORDER BY m.from_position DESC
LIMIT 1
