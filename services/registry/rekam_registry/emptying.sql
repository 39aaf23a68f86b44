-- name: take_position
-- Before the tables are emptied: waits for a batch that is being committed, and makes the next fail.
INSERT INTO projection_position (stream, position) VALUES ($1, $2)
ON CONFLICT (stream) DO UPDATE SET position = excluded.position;

-- name: tables
SELECT quote_ident(tablename) FROM pg_tables
WHERE schemaname = current_schema() AND tablename NOT IN ('schema_migrations', 'projection_position');
