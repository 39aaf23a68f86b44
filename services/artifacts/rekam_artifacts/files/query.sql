-- name: entry
SELECT entries.digest, size, media_type, object_key, updated_us
FROM entries LEFT JOIN blobs USING (digest)
WHERE folder = $1 AND name = $2

-- name: entries
SELECT folder, name, entries.digest, size, media_type, object_key, updated_us
FROM unnest($1::text[], $2::text[]) AS asked (folder, name)
JOIN entries USING (folder, name) JOIN blobs USING (digest)

-- name: inside
-- Of one folder.
SELECT folder, name, entries.digest, size, media_type, object_key, updated_us
FROM entries LEFT JOIN blobs USING (digest)
WHERE folder = $1 AND name > $2
ORDER BY name
LIMIT $3

-- name: below
-- Files of a range of folders.
SELECT folder, name, entries.digest, size, media_type, object_key, updated_us
FROM entries JOIN blobs USING (digest)
WHERE folder >= $1 AND folder < $2 AND (folder, name) > ($3, $4)
ORDER BY folder, name
LIMIT $5

-- name: blobs
SELECT digest, size FROM blobs WHERE digest = ANY($1::bytea[])

-- name: refusals
SELECT number, field, reason FROM refusals WHERE position = $1 ORDER BY number LIMIT 1
