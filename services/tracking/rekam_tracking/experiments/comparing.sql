-- For each experiment: owner, rows, and what they add up to.

-- name: experiments
SELECT ('experiment ' || experiment_id) COLLATE "C" AS owner, 1::bigint, hashtextextended(experiments::text, 0)::numeric
FROM experiments
ORDER BY owner

-- name: experiment_tags
SELECT ('experiment ' || experiment_id) COLLATE "C" AS owner, count(*), sum(hashtextextended(experiment_tags::text, 0))
FROM experiment_tags
GROUP BY experiment_id
ORDER BY owner
