-- name: position
SELECT position FROM projection_position WHERE stream = $1;

-- name: take_position
UPDATE projection_position SET position = $2 WHERE stream = $1;
