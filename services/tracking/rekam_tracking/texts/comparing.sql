-- name: text_streams
SELECT 'run ' || s.run_id, count(*), sum(hashtextextended(ROW(s.stream, w.writer, s.lines, s.bytes)::text, 0))
FROM text_streams s JOIN writers w USING (writer_id)
GROUP BY s.run_id ORDER BY s.run_id

-- name: chunks
SELECT c.run_id, c.stream, w.writer, c.codec, c.content
FROM text_chunks c JOIN writers w USING (writer_id)
ORDER BY c.run_id, c.stream, c.chunk_id
