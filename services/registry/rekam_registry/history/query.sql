-- name: page
SELECT c.change, c.position
FROM change_parts p JOIN changes c USING (position)
WHERE p.model_id = $1 AND p.part = $2 AND p.position < $3 AND p.position <= {last}
ORDER BY p.position DESC
LIMIT $4

-- name: last_by_time
-- The times of a model's changes grow with their positions.
SELECT position FROM changes WHERE model_id = $1 AND time_us <= {time_us} ORDER BY time_us DESC LIMIT 1

-- name: owner
-- The model that has the name at the moment, else the one that had it last before. A name has one model at a
-- time, so the rows of a name begin in the order in which they end: each of these looks at one.
SELECT coalesce(
    (SELECT model_id FROM (
        SELECT model_id, {begin} AS begins FROM model_states
        WHERE name = $1 AND {end} > {moment} ORDER BY {end} LIMIT 1
    ) next WHERE begins <= {moment}),
    (SELECT model_id FROM model_states WHERE name = $1 AND {end} <= {moment} ORDER BY {end} DESC LIMIT 1)
)
