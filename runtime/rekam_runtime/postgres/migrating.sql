-- name: lock
-- One at a time, whoever migrates; given back with the connection.
SELECT pg_advisory_lock(7310868770017124);

-- name: create_ledger
CREATE TABLE IF NOT EXISTS schema_migrations (
    source     text        COLLATE "C" NOT NULL,
    number     int         NOT NULL,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, number)
);

-- name: see_public
SELECT set_config('search_path', 'public', false);

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS {};

-- name: has_generations
SELECT to_regclass('public.projection_generation') IS NOT NULL;

-- name: applied
SELECT number, name, checksum FROM schema_migrations WHERE source = $1 ORDER BY number;

-- name: record
INSERT INTO schema_migrations (source, number, name, checksum) VALUES ($1, $2, $3, $4);
