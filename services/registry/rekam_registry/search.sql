-- Fragments of searches, put together by search.py. What braces hold are placeholders ($n), the moment and
-- other fragments of this file, never text of a user.

-- name: page
SELECT {columns}
FROM {rows}
WHERE {conditions}
ORDER BY {order}
LIMIT {limit}

-- name: tag_is
-- For the few conditions that must all hold: the planner may begin with them.
({owner}) IN (SELECT {owner_of_tag} FROM {tags} t WHERE t.key = {key} AND {condition} AND {at:t})

-- name: tag_matches
coalesce((SELECT {condition} FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t}), false)

-- name: tag_missing
NOT EXISTS (SELECT FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t})

-- name: tag_or_false
coalesce((SELECT t.value FROM {tags} t WHERE {same_owner} AND t.key = {key} AND {at:t}), 'false')
