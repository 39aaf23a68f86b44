-- name: use
INSERT INTO uses (run_id, path, digest, used_us)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[])
ON CONFLICT (run_id, path, digest) DO NOTHING;
