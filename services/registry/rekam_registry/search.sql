-- Fragments of searches, put together by search.py. What braces hold are placeholders ($n), the moment and
-- other fragments of this file, never text of a user.

-- name: page
SELECT {columns}
FROM {rows}
WHERE {conditions}
ORDER BY {order}
LIMIT {limit}

-- name: few_tags
-- How many have such a tag now, counted up to $3: an index is walked.
SELECT count(*) FROM (
    SELECT FROM {tags} t
    WHERE t.key = $1 AND left(t.value, 200) = ANY ($2::text[]) AND {at:t}
    LIMIT $3
) AS counted

-- name: tag_is
-- Of a tag that few have: the search begins with those.
({owner}) IN (SELECT {owner_of_tag} FROM {tags} t WHERE t.key = {key} AND {condition} AND {at:t})

-- name: tag_matches
coalesce((SELECT {condition} FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t}), false)

-- name: tag_missing
NOT EXISTS (SELECT FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t})

-- name: tag_or_false
coalesce((SELECT t.value FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t}), 'false')
