-- name: let_ended_go
DELETE FROM watched_runs USING runs
WHERE runs.run_id = watched_runs.run_id AND runs.status IN (3, 4, 5)

-- name: let_go
DELETE FROM watched_runs WHERE run_id = ANY($1::uuid[])

-- name: heard
SELECT w.run_id, r.status, max(w.heard_us) AS heard_us, max(w.beat_us) AS beat_us,
       max(w.heartbeat_ms) AS heartbeat_ms
FROM watched_runs JOIN runs r USING (run_id) JOIN writers w USING (run_id)
WHERE w.beat_us IS NOT NULL
GROUP BY w.run_id, r.status
