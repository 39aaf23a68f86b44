-- name: details
-- Runs in the order asked, each with everything it has: one row per run, so that a page is
-- one round trip. The latest value of a metric is the greatest of its settled row and of the
-- rows still being written, by step, then time, then value (NaN as 0). $2: with the models that
-- are inputs. Schemas and profiles are left out past $3 bytes of a run.
SELECT r.run_id, r.experiment_id, r.name, r.user_name, r.status, r.start_ms, r.end_ms, r.lifecycle,
       r.artifact_uri, p.param_keys, p.param_values, t.tag_keys, t.tag_values,
       m.metric_keys, m.metric_values, m.metric_steps, m.metric_times,
       d.datasets, i.model_inputs, o.output_models, o.output_steps
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (run_id, position)
JOIN runs r USING (run_id)
CROSS JOIN LATERAL (
    SELECT array_agg(key ORDER BY key) AS param_keys, array_agg(value ORDER BY key) AS param_values
    FROM params WHERE params.run_id = r.run_id
) p
CROSS JOIN LATERAL (
    SELECT array_agg(key ORDER BY key) AS tag_keys, array_agg(value ORDER BY key) AS tag_values
    FROM tags WHERE tags.run_id = r.run_id
) t
CROSS JOIN LATERAL (
    SELECT array_agg(key ORDER BY key) AS metric_keys, array_agg(value ORDER BY key) AS metric_values,
           array_agg(step ORDER BY key) AS metric_steps, array_agg(time_us ORDER BY key) AS metric_times
    FROM (
        SELECT DISTINCT ON (key_id) key_id, value, step, time_us
        FROM (
            SELECT key_id, value, step, time_us FROM metric_latest WHERE run_id = r.run_id
            UNION ALL
            SELECT u.key_id, u.value, l.step, l.time_us
            FROM metric_live l JOIN key_sets s USING (key_set_id), unnest(s.key_ids, l."values") u (key_id, value)
            WHERE l.run_id = r.run_id
        ) points
        ORDER BY key_id, step DESC, time_us DESC, metric_rank(value) DESC, value
    ) latest JOIN metric_keys USING (key_id)
) m
CROSS JOIN LATERAL (
    SELECT array_agg(
               ROW(name, digest, source_type, source,
                   CASE WHEN bytes <= $3::bigint THEN schema ELSE '' END, CASE WHEN bytes <= $3::bigint THEN profile ELSE '' END,
                   tag_keys, tag_values)
               ORDER BY name, digest
           ) AS datasets
    FROM (
        SELECT *, sum(octet_length(schema) + octet_length(profile)) OVER (ORDER BY name, digest) AS bytes
        FROM dataset_inputs JOIN datasets USING (experiment_id, name, digest)
        WHERE dataset_inputs.run_id = r.run_id
    ) input
) d
CROSS JOIN LATERAL (
    SELECT array_agg(model_id ORDER BY model_id) AS model_inputs
    FROM model_inputs WHERE model_inputs.run_id = r.run_id AND $2
) i
CROSS JOIN LATERAL (
    SELECT array_agg(model_id ORDER BY step, model_id) AS output_models,
           array_agg(step ORDER BY step, model_id) AS output_steps
    FROM model_outputs WHERE model_outputs.run_id = r.run_id
) o
ORDER BY asked.position

-- name: heavy
-- Bytes of schemas and profiles of those runs that have many; told without reading them.
SELECT run_id, sum(octet_length(schema) + octet_length(profile)) AS bytes
FROM dataset_inputs JOIN datasets USING (experiment_id, name, digest)
WHERE run_id = ANY($1::uuid[])
GROUP BY run_id
HAVING sum(octet_length(schema) + octet_length(profile)) > $2::bigint
