-- name: set_aside
SELECT reason FROM quarantine WHERE stream = $1 AND position = $2
