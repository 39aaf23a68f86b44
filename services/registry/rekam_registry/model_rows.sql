-- name: details
-- Models in the order asked, each with its tags and aliases.
SELECT m.model_id, m.name, m.description, m.created_us, m.updated_us, m.protection,
       t.tag_keys, t.tag_values, a.aliases, a.versions
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (model_id, place)
JOIN model_states m ON m.model_id = asked.model_id AND {at:m}
CROSS JOIN LATERAL (
    SELECT array_agg(t.key ORDER BY t.key) AS tag_keys, array_agg(t.value ORDER BY t.key) AS tag_values
    FROM model_tags t WHERE t.model_id = asked.model_id AND {at:t}
) t
CROSS JOIN LATERAL (
    SELECT array_agg(a.alias ORDER BY a.alias) AS aliases, array_agg(a.version ORDER BY a.alias) AS versions
    FROM aliases a WHERE a.model_id = asked.model_id AND {at:a}
) a
ORDER BY asked.place
