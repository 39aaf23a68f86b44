-- name: find
SELECT * FROM uploads WHERE upload_id = $1
