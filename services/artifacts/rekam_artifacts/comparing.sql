-- For each experiment's folder or other owner: owner, rows, and what they add up to.

-- name: files
-- By the first part of the path.
SELECT ('folder ' || split_part(folder || name, '/', 1)) COLLATE "C" AS owner, count(*),
       sum(hashtextextended(ROW(folder, name, digest, media_type, owner, updated_us)::text, 0))
FROM entries GROUP BY 1 ORDER BY 1

-- name: blobs
-- Since when nobody needs them depends on how the events were put together.
SELECT ('digests ' || substr(encode(digest, 'hex'), 1, 2)) COLLATE "C" AS owner, count(*),
       sum(hashtextextended(ROW(digest, object_key, size, unreferenced_us IS NULL)::text, 0))
FROM blobs GROUP BY 1 ORDER BY 1

-- name: taken_objects
SELECT ('objects ' || substr(object_key, 1, 8)) COLLATE "C" AS owner, count(*), sum(hashtextextended(taken_objects::text, 0))
FROM taken_objects GROUP BY 1 ORDER BY 1

-- name: uploads
SELECT ('upload ' || upload_id) COLLATE "C" AS owner, 1::bigint, hashtextextended(uploads::text, 0)::numeric
FROM uploads ORDER BY 1

-- name: uses
SELECT ('run ' || run_id) COLLATE "C" AS owner, count(*), sum(hashtextextended(uses::text, 0))
FROM uses GROUP BY run_id ORDER BY 1
