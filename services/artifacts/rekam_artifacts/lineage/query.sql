-- Edges are ordered by kind, owner, path and digest. kind: numbers of the proto enum EdgeKind.

-- name: of_digest
SELECT * FROM (
    SELECT CASE WHEN owner IS NULL THEN 0 WHEN owner LIKE 'm-%' THEN 3 ELSE 1 END AS kind,
           coalesce(owner, '') AS owner, folder || name AS path, digest, updated_us AS time_us
    FROM entries WHERE digest = $1
    UNION ALL
    SELECT 2, run_id, path, digest, used_us FROM uses WHERE digest = $1
) AS edges
WHERE (kind, owner, path, digest) > ($2, $3, $4, $5)
ORDER BY kind, owner, path, digest
LIMIT $6

-- name: of_owner
SELECT * FROM (
    SELECT CASE WHEN owner LIKE 'm-%' THEN 3 ELSE 1 END AS kind, owner, folder || name AS path, digest, updated_us AS time_us
    FROM entries WHERE owner = $1
    UNION ALL
    SELECT 2, run_id, path, digest, used_us FROM uses WHERE run_id = $1
) AS edges
WHERE (kind, owner, path, digest) > ($2, $3, $4, $5)
ORDER BY kind, owner, path, digest
LIMIT $6
