-- name: page
SELECT r.request FROM transitions r
WHERE r.model_id = $1 AND r.request_id < $2 AND ($3::bigint = 0 OR r.version = $3)
    AND ($4::smallint = 0 OR r.state = $4) AND {at:r}
ORDER BY r.request_id DESC
LIMIT $5
