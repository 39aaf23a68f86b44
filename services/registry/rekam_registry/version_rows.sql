-- name: details
-- Versions in the order asked, each with its tags and aliases.
SELECT s.model_id, s.version, s.name, s.stage, s.description, s.created_us, s.updated_us,
       v.source, v.location, v.run_id, v.run_link, v.logged_model_id, v.digest, {signature} AS signature,
       v.user_name, v.copied_from, t.tag_keys, t.tag_values, a.aliases
FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS asked (model_id, version, place)
JOIN version_states s ON s.model_id = asked.model_id AND s.version = asked.version AND {at:s}
JOIN versions v ON v.model_id = asked.model_id AND v.version = asked.version
CROSS JOIN LATERAL (
    SELECT array_agg(t.key ORDER BY t.key) AS tag_keys, array_agg(t.value ORDER BY t.key) AS tag_values
    FROM version_tags t WHERE t.model_id = asked.model_id AND t.version = asked.version AND {at:t}
) t
CROSS JOIN LATERAL (
    SELECT array_agg(a.alias ORDER BY a.alias) AS aliases
    FROM aliases a WHERE a.model_id = asked.model_id AND a.version = asked.version AND {at:a}
) a
ORDER BY asked.place

-- name: latest
-- Of each model the highest version of each stage.
SELECT asked.model_id, s.version
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (model_id, place)
CROSS JOIN unnest($2::smallint[]) AS of (stage)
CROSS JOIN LATERAL (
    SELECT s.version FROM version_states s
    WHERE s.model_id = asked.model_id AND s.stage = of.stage AND {at:s}
    ORDER BY s.version DESC
    LIMIT 1
) s
ORDER BY asked.place, of.stage
