-- name: entries
SELECT folder || name AS path, digest IS NULL AS is_folder, digest
FROM entries
WHERE (folder, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))

-- name: blobs
SELECT digest, object_key, size FROM blobs WHERE digest = ANY($1::bytea[]) OR object_key = ANY($2::text[])

-- name: taken
SELECT object_key FROM taken_objects WHERE object_key = ANY($1::text[])
