-- name: details
-- Runs in the order asked, without params, tags and metrics. $2: with the models that are
-- inputs. Schemas and profiles are left out past $3 bytes of a run.
SELECT r.run_id, r.experiment_id, r.name, r.user_name, r.status, r.start_ms, r.end_ms, r.lifecycle,
       r.artifact_uri, d.datasets, i.model_inputs, o.output_models, o.output_steps
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (run_id, position)
JOIN runs r USING (run_id)
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

-- name: values
-- Params, tags and latest metrics of these runs, one after another, each run's by key: columns of
-- all runs in one row, with the place of each value's run, counted from 1. The latest value of a
-- metric is the greatest of its settled row and of the rows still being written, by step, then
-- time, then value (NaN as 0).
WITH asked AS MATERIALIZED (SELECT run_id, place FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (run_id, place))
SELECT p.*, t.*, m.*
FROM (
    SELECT array_agg(place) AS param_places, array_agg(key) AS param_keys, array_agg(value) AS param_values
    FROM (SELECT place, key, value FROM asked JOIN params USING (run_id) ORDER BY place, key) pairs
) p CROSS JOIN (
    SELECT array_agg(place) AS tag_places, array_agg(key) AS tag_keys, array_agg(value) AS tag_values
    FROM (SELECT place, key, value FROM asked JOIN tags USING (run_id) ORDER BY place, key) pairs
) t CROSS JOIN (
    SELECT array_agg(place) AS metric_places, array_agg(key) AS metric_keys, array_agg(value) AS metric_values,
           array_agg(step) AS metric_steps, array_agg(time_us) AS metric_times
    FROM (
        SELECT place, key, value, step, time_us
        FROM (
            SELECT DISTINCT ON (place, key_id) place, key_id, value, step, time_us
            FROM (
                SELECT place, key_id, value, step, time_us FROM asked JOIN metric_latest USING (run_id)
                UNION ALL
                SELECT place, u.key_id, u.value, l.step, l.time_us
                FROM asked JOIN metric_live l USING (run_id) JOIN key_sets s USING (key_set_id),
                     unnest(s.key_ids, l."values") u (key_id, value)
            ) points
            ORDER BY place, key_id, step DESC, time_us DESC, metric_rank(value) DESC, value
        ) latest JOIN metric_keys USING (key_id)
        ORDER BY place, key
    ) latest
) m

-- name: heavy
-- Bytes of schemas and profiles of those runs that have many; told without reading them.
SELECT run_id, sum(octet_length(schema) + octet_length(profile)) AS bytes
FROM dataset_inputs JOIN datasets USING (experiment_id, name, digest)
WHERE run_id = ANY($1::uuid[])
GROUP BY run_id
HAVING sum(octet_length(schema) + octet_length(profile)) > $2::bigint
