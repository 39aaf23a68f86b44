-- name: later
-- A model of whose events one that comes after a position is here already.
SELECT model_id FROM unnest($1::uuid[], $2::bigint[]) AS first (model_id, position)
WHERE EXISTS (
    SELECT FROM change_parts p
    WHERE p.model_id = first.model_id AND p.part = '' AND p.position > first.position
)
LIMIT 1

-- name: add
INSERT INTO changes (position, model_id, name, old_name, time_us, change)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bytea[])

-- name: add_parts
INSERT INTO change_parts (model_id, part, position)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])
