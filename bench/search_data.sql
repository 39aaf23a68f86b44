-- Rows of many runs, made where they are needed: $1 the experiment, $2 the number of the
-- first run and $3 of the last.

-- name: experiment
INSERT INTO experiments (experiment_id, name, artifact_location, created_ms, updated_ms)
VALUES ($1::bigint, 'search bench ' || $1::bigint::text, 'mlflow-artifacts:/' || $1::bigint::text, 1700000000000, 1700000000000)
ON CONFLICT DO NOTHING

-- name: runs
INSERT INTO runs (run_id, experiment_id, name, user_name, status, start_ms, end_ms, artifact_uri)
SELECT md5($1::bigint::text || '/' || n)::uuid, $1::bigint, 'run-' || n, 'user-' || n % 40,
       CASE WHEN n % 20 = 0 THEN 4 WHEN n % 33 = 0 THEN 5 ELSE 3 END,
       1700000000000 + n * 1000, 1700000000000 + n * 1000 + 60000,
       'mlflow-artifacts:/' || $1::bigint::text || '/' || md5($1::bigint::text || '/' || n) || '/artifacts'
FROM generate_series($2::bigint, $3::bigint) n

-- name: params
INSERT INTO params (run_id, key, value)
SELECT md5($1::bigint::text || '/' || n)::uuid, 'p' || k,
       CASE k WHEN 0 THEN (n % 10)::text
              WHEN 1 THEN 'optimizer-' || n % 7
              WHEN 2 THEN (hashint8(n) % 100000 / 1e5)::text
              ELSE (hashint8(n * 16 + k) % 1000)::text END
FROM generate_series($2::bigint, $3::bigint) n, generate_series(0, 9) k

-- name: tags
INSERT INTO tags (run_id, key, value)
SELECT md5($1::bigint::text || '/' || n)::uuid, tag.key, tag.value
FROM generate_series($2::bigint, $3::bigint) n,
LATERAL (VALUES
    ('mlflow.runName', 'run-' || n),
    ('mlflow.user', 'user-' || n % 40),
    ('mlflow.source.name', 'train_' || n % 12 || '.py'),
    ('team', (ARRAY['vision', 'language', 'forecast', 'ranking'])[1 + n % 4]),
    ('note', 'sweep ' || n / 100 || ' trial ' || md5(n::text)
             || CASE WHEN n % 100 = 0 THEN ' needle' ELSE '' END)
) tag (key, value)

-- name: metric_keys
INSERT INTO metric_keys (key)
SELECT 'm' || k FROM generate_series(0, 9) k
ON CONFLICT DO NOTHING

-- name: metrics
INSERT INTO metric_latest (run_id, key_id, value, step, time_us)
SELECT md5($1::bigint::text || '/' || n)::uuid, key_id,
       CASE WHEN hashint8(n * 64 + key_id) % 1000 = 0 THEN 'NaN'
            ELSE abs(hashint8(n * 32 + key_id) % 1000003) / 1000003.0 END,
       1000, (1700000000000 + n * 1000 + 60000) * 1000
FROM generate_series($2::bigint, $3::bigint) n, metric_keys
WHERE key ~ '^m[0-9]$'

-- name: live_metrics
-- Runs still being written: their latest values lie in one row per key set.
WITH keys AS (
    INSERT INTO key_sets (hash, key_ids)
    SELECT sha256(string_agg(key, ',' ORDER BY key)::bytea), array_agg(key_id ORDER BY key)
    FROM metric_keys WHERE key ~ '^m[0-9]$'
    ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash
    RETURNING key_set_id, key_ids
), columns AS (
    INSERT INTO key_set_columns (key_id, key_set_id, column_index)
    SELECT key_id, key_set_id, ordinal - 1 FROM keys, unnest(key_ids) WITH ORDINALITY u (key_id, ordinal)
    ON CONFLICT DO NOTHING
)
INSERT INTO metric_live (run_id, key_set_id, step, time_us, values)
SELECT md5($1::bigint::text || '/' || n)::uuid, key_set_id, 500, (1700000000000 + n * 1000 + 60000) * 1000,
       ARRAY(SELECT abs(hashint8(n * 32 + key_id) % 1000003) / 1000003.0
             FROM unnest(key_ids) WITH ORDINALITY u (key_id, ordinal) ORDER BY ordinal)
FROM generate_series($2::bigint, $3::bigint) n, keys

-- name: analyze
ANALYZE
