-- name: list_texts
SELECT s.stream, w.writer, w.rank, s.lines, s.bytes
FROM text_streams s JOIN writers w USING (writer_id)
WHERE s.run_id = $1
ORDER BY s.stream, w.rank NULLS FIRST, w.writer

-- name: chunks
-- From chunk $9 on, in the order of the log: at most $7, and none that begins behind $8 bytes.
SELECT chunk_id, codec, content, writer, rank
FROM (
    SELECT c.chunk_id, c.codec, c.content, w.writer, w.rank,
           sum(c.size) OVER (ORDER BY c.chunk_id) - c.size AS before
    FROM text_chunks c JOIN writers w USING (writer_id)
    WHERE c.run_id = $1 AND c.stream = $2 AND ($3 = '' OR w.writer = $3) AND ($4::int IS NULL OR w.rank = $4)
      AND c.time_max >= $5 AND c.time_min <= $6 AND c.chunk_id >= $9
    ORDER BY c.chunk_id
    LIMIT $7
) found
WHERE before < $8
ORDER BY chunk_id

-- name: chunks_backwards
-- Before chunk $9, last to first; bounded likewise.
SELECT chunk_id, codec, content, writer, rank
FROM (
    SELECT c.chunk_id, c.codec, c.content, w.writer, w.rank,
           sum(c.size) OVER (ORDER BY c.chunk_id DESC) - c.size AS before
    FROM text_chunks c JOIN writers w USING (writer_id)
    WHERE c.run_id = $1 AND c.stream = $2 AND ($3 = '' OR w.writer = $3) AND ($4::int IS NULL OR w.rank = $4)
      AND c.time_max >= $5 AND c.time_min <= $6 AND c.chunk_id < $9
    ORDER BY c.chunk_id DESC
    LIMIT $7
) found
WHERE before < $8
ORDER BY chunk_id DESC
