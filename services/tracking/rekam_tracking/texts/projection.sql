-- name: count_lines
INSERT INTO text_streams (run_id, stream, writer_id, lines, bytes)
SELECT run_id, stream, writer_id, lines, bytes
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS added (run_id, stream, writer_id, lines, bytes)
ON CONFLICT (run_id, stream, writer_id) DO UPDATE
SET lines = text_streams.lines + excluded.lines, bytes = text_streams.bytes + excluded.bytes
