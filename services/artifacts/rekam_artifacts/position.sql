-- name: take_position
UPDATE projection_position SET position = $2 WHERE stream = $1;
