-- name: unreferenced
SELECT digest, size FROM blobs WHERE unreferenced_us <= $1 AND digest > $2 ORDER BY digest LIMIT $3

-- name: old_uploads
SELECT upload_id, completed FROM uploads WHERE started_us <= $1 AND upload_id > $2 ORDER BY upload_id LIMIT $3

-- name: strays
-- Objects that nothing names; what was removed and is there again is one of them.
SELECT object_key FROM unnest($1::text[]) AS listed (object_key)
WHERE NOT EXISTS (SELECT FROM blobs WHERE blobs.object_key = listed.object_key)
  AND NOT EXISTS (SELECT FROM uploads WHERE uploads.object_key = listed.object_key)
  AND NOT EXISTS (SELECT FROM taken_objects WHERE taken_objects.object_key = listed.object_key AND NOT removed)

-- name: to_remove
SELECT object_key, multipart_id FROM taken_objects WHERE NOT removed AND object_key > $1 ORDER BY object_key LIMIT $2
