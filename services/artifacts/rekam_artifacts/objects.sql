-- name: add
INSERT INTO blobs (digest, object_key, size, unreferenced_us)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[]);

-- name: refer
-- After the entries are written: from now on a file has these bytes, or none does.
UPDATE blobs SET unreferenced_us =
    CASE WHEN NOT EXISTS (SELECT FROM entries WHERE entries.digest = blobs.digest) THEN $2::bigint END
WHERE digest = ANY($1::bytea[]);

-- name: take
-- One that was removed and is found again is removed again.
INSERT INTO taken_objects (object_key, multipart_id)
SELECT DISTINCT ON (object_key) object_key, multipart_id
FROM unnest($1::text[], $2::text[]) AS taken (object_key, multipart_id)
ON CONFLICT (object_key) DO UPDATE SET removed = false;

-- name: take_unreferenced
WITH gone AS (
    DELETE FROM blobs WHERE digest = ANY($1::bytea[]) AND unreferenced_us IS NOT NULL RETURNING object_key
)
INSERT INTO taken_objects (object_key) SELECT object_key FROM gone
ON CONFLICT (object_key) DO UPDATE SET removed = false;

-- name: take_strays
INSERT INTO taken_objects (object_key)
SELECT DISTINCT object_key FROM unnest($1::text[]) AS stray (object_key)
WHERE NOT EXISTS (SELECT FROM blobs WHERE blobs.object_key = stray.object_key)
  AND NOT EXISTS (SELECT FROM uploads WHERE uploads.object_key = stray.object_key)
ON CONFLICT (object_key) DO UPDATE SET removed = false;

-- name: remove
UPDATE taken_objects SET removed = true WHERE object_key = ANY($1::text[]);
