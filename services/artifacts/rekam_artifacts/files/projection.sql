-- name: put_folders
INSERT INTO entries (folder, name) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (folder, name) DO NOTHING;

-- name: put_files
INSERT INTO entries (folder, name, digest, media_type, owner, updated_us)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::bigint[])
ON CONFLICT (folder, name) DO UPDATE
SET digest = excluded.digest, media_type = excluded.media_type, updated_us = excluded.updated_us;

-- name: refuse
INSERT INTO refusals (position, number, field, reason)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[])
ON CONFLICT (position, number) DO NOTHING;

-- name: delete_file
DELETE FROM entries WHERE folder = $1 AND name = $2 AND digest IS NOT NULL RETURNING digest;

-- name: delete_below
DELETE FROM entries WHERE folder >= $1 AND folder < $2 RETURNING digest;

-- name: delete_folder
-- One that has become empty.
DELETE FROM entries
WHERE folder = $1 AND name = $2 AND digest IS NULL
  AND NOT EXISTS (SELECT FROM entries AS inside WHERE inside.folder = $3)
RETURNING name;
