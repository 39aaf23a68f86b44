-- Of a watcher's filter: $1 all, $2 names, $3 a prefix, empty for none.

-- name: models
SELECT m.model_id, m.name FROM model_states m
WHERE {at:m} AND m.name > $4 AND ($1 OR m.name = ANY ($2::text[]) OR ($3 <> '' AND starts_with(m.name, $3)))
ORDER BY m.name
LIMIT $5

-- name: versions
SELECT s.version FROM version_states s
WHERE s.model_id = $1 AND s.version > $2 AND {at:s}
ORDER BY s.version
LIMIT $3

-- name: changes
SELECT c.position, c.change FROM changes c
WHERE c.position > $4 AND c.position <= $5
    AND ($1 OR c.name = ANY ($2::text[]) OR c.old_name = ANY ($2::text[])
         OR ($3 <> '' AND (starts_with(c.name, $3) OR starts_with(c.old_name, $3))))
ORDER BY c.position
LIMIT $6
