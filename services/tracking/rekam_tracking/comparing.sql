-- name: writers
SELECT 'run ' || run_id, count(*),
       sum(hashtextextended(ROW(writer, rank, received, points, heard_us, beat_us, heartbeat_ms)::text, 0))
FROM writers GROUP BY run_id ORDER BY run_id
