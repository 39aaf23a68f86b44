-- name: start
INSERT INTO uploads (upload_id, path, object_key, multipart_id, size, digest, media_type, started_us)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING;

-- name: complete
UPDATE uploads SET completed = true, digest = done.digest, size = done.size
FROM unnest($1::uuid[], $2::bytea[], $3::bigint[]) AS done (upload_id, digest, size)
WHERE uploads.upload_id = done.upload_id;

-- name: end
DELETE FROM uploads WHERE upload_id = ANY($1::uuid[]) RETURNING object_key, multipart_id, completed;
