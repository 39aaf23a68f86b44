-- Rows of many models and versions, made where they are needed: $1 and $2 the numbers of the first and of the
-- last model. Model 0 has 10,000 versions, the others some 99, a million in all for 10,000 models. Versions
-- come one a second, the models in turn. Their positions lie before the log's first.

-- name: models
-- Changed once, with the last version.
INSERT INTO model_states (model_id, name, description, created_us, updated_us, protection,
                          from_position, until_position, from_us, until_us)
SELECT md5('model ' || m)::uuid,
       (ARRAY['vision', 'language', 'forecast', 'ranking'])[1 + m % 4] || '-' || lpad(m::text, 5, '0'),
       'Number ' || m || ' of the bench', 1700000000000000 + m, was.from_us, '',
       was.from_position, was.until_position, was.from_us, was.until_us
FROM generate_series($1::bigint, $2::bigint) m,
LATERAL (VALUES
    (-2000000 + m, -900000 + m, 1700000000000000 + m, 1700000000000000 + (990000 + m) * 1000000::bigint),
    (-900000 + m, 9223372036854775807, 1700000000000000 + (990000 + m) * 1000000::bigint, 9223372036854775807)
) was (from_position, until_position, from_us, until_us)

-- name: model_tags
INSERT INTO model_tags (model_id, key, value, from_position, until_position, from_us, until_us)
SELECT md5('model ' || m)::uuid, tag.key, tag.value, -2000000 + m, 9223372036854775807, 1700000000000000 + m, 9223372036854775807
FROM generate_series($1::bigint, $2::bigint) m,
LATERAL (VALUES
    ('team', (ARRAY['vision', 'language', 'forecast', 'ranking'])[1 + m % 4]),
    ('ticket', 'ML-' || m)
) tag (key, value)

-- name: versions
INSERT INTO versions (model_id, version, source, location, run_id, run_link, logged_model_id, digest, signature,
                      user_name, created_us, copied_from)
SELECT md5('model ' || m)::uuid, v, 's3://models/' || m % 40 || '/' || md5('run ' || m || '/' || v) || '/artifacts/model',
       's3://models/' || m % 40 || '/' || md5('run ' || m || '/' || v) || '/artifacts/model',
       md5('run ' || m || '/' || v), '', 'm-' || md5('logged ' || m || '/' || v),
       md5('low ' || m || '/' || v) || md5('high ' || m || '/' || v), '', 'user-' || m % 40, at.us, ''
FROM generate_series($1::bigint, $2::bigint) m,
    generate_series(1, CASE WHEN m = 0 THEN 10000 ELSE 99 + (m < 100)::int END) v,
    LATERAL (SELECT 1700000000000000 + (CASE WHEN m = 0 THEN v * 100 ELSE v * 10000 + m END) * 1000000::bigint AS us) at
ORDER BY at.us

-- name: version_states
-- The last version is in production, the one before in staging, those that were there are archived.
WITH numbered AS (
    SELECT m, v, 1700000000000000 + (CASE WHEN m = 0 THEN v * 100 ELSE v * 10000 + m END) * 1000000::bigint AS created_us,
           CASE WHEN v = last THEN 3 WHEN v = last - 1 THEN 2 WHEN v % 5 = 0 THEN 4 ELSE 1 END AS stage
    FROM generate_series($1::bigint, $2::bigint) m,
        LATERAL (SELECT CASE WHEN m = 0 THEN 10000 ELSE 99 + (m < 100)::int END AS last) count,
        generate_series(1, last) v
)
INSERT INTO version_states (model_id, version, name, stage, description, created_us, updated_us,
                            from_position, until_position, from_us, until_us)
SELECT md5('model ' || m)::uuid, v, (ARRAY['vision', 'language', 'forecast', 'ranking'])[1 + m % 4] || '-' || lpad(m::text, 5, '0'),
       was.stage, '', created_us, was.from_us,
       (was.from_us - 1700000000000000) / 1000000 - 1900000, 
       CASE WHEN was.until_us = 9223372036854775807 THEN was.until_us ELSE (was.until_us - 1700000000000000) / 1000000 - 1900000 END,
       was.from_us, was.until_us
FROM numbered,
LATERAL (
    SELECT 1 AS stage, created_us AS from_us,
           CASE WHEN numbered.stage = 1 THEN 9223372036854775807 ELSE created_us + 500000 END AS until_us
    UNION ALL
    SELECT numbered.stage, created_us + 500000, 9223372036854775807 WHERE numbered.stage <> 1
) was
ORDER BY was.from_us

-- name: version_tags
INSERT INTO version_tags (model_id, version, key, value, from_position, until_position, from_us, until_us)
SELECT md5('model ' || m)::uuid, v, tag.key, tag.value, -1000000 + v, 9223372036854775807,
       1700000000000000 + v * 100000000::bigint, 9223372036854775807
FROM generate_series($1::bigint, $2::bigint) m,
    generate_series(1, CASE WHEN m = 0 THEN 10000 ELSE 99 + (m < 100)::int END) v,
    LATERAL (VALUES
        ('validation', CASE WHEN hashint8(m * 16384 + v) % 10 = 0 THEN 'failed' ELSE 'passed' END),
        ('build', 'build-' || m || '.' || v)
    ) tag (key, value)
ORDER BY v, m

-- name: aliases
INSERT INTO aliases (model_id, alias, version, from_position, until_position, from_us, until_us)
SELECT md5('model ' || m)::uuid, 'champion', CASE WHEN m = 0 THEN 10000 ELSE 99 END, -1000000 + m, 9223372036854775807,
       1700000000000000 + 1000000 * 1000000::bigint, 9223372036854775807
FROM generate_series($1::bigint, $2::bigint) m

-- name: text_indexes
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND indexdef LIKE '%USING gin%'

-- name: analyze
VACUUM ANALYZE
