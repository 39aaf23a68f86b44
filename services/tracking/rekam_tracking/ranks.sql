-- name: writers
SELECT writer_id FROM writers
WHERE run_id = $1 AND ($2 = '' OR writer = $2) AND ($3::int IS NULL OR rank = $3)

-- name: ranks
SELECT writer_id, rank FROM writers WHERE run_id = $1
