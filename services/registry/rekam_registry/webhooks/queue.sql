-- name: begin
-- Once in the life of a database.
INSERT INTO public.webhook_beginning (position) VALUES ($1) ON CONFLICT DO NOTHING

-- name: adopt
-- A webhook is told what happens after its creation.
INSERT INTO public.webhook_cursors (webhook_id, position)
SELECT w.webhook_id, greatest(w.created_position, b.position)
FROM webhook_states s JOIN webhooks w USING (webhook_id), public.webhook_beginning b
WHERE s.until_position = 9223372036854775807
    AND NOT EXISTS (SELECT FROM public.webhook_cursors c WHERE c.webhook_id = w.webhook_id)
ON CONFLICT DO NOTHING

-- name: forget
-- Those that were deleted, with what waits for them.
WITH gone AS (
    DELETE FROM public.webhook_cursors c
    WHERE NOT EXISTS (
        SELECT FROM webhook_states s
        WHERE s.webhook_id = c.webhook_id AND s.until_position = 9223372036854775807
    )
    RETURNING webhook_id
)
DELETE FROM public.webhook_deliveries d USING gone WHERE d.webhook_id = gone.webhook_id

-- name: behind
-- Webhooks that were not told everything up to a position, and how much waits for each.
SELECT c.webhook_id, c.position,
    (SELECT count(*) FROM public.webhook_deliveries d WHERE d.webhook_id = c.webhook_id AND NOT d.dead) AS waiting
FROM public.webhook_cursors c
WHERE c.position < $1

-- name: changes
SELECT c.position, c.change, c.model_id, {is_prompt} AS is_prompt
FROM changes c
WHERE c.position > $1 AND c.position <= $2
ORDER BY c.position
LIMIT $3

-- name: note_set_aside
INSERT INTO public.webhook_set_aside (position)
SELECT position FROM quarantine WHERE stream = $1 AND position <= $2 AND dropped_at IS NULL
ON CONFLICT DO NOTHING

-- name: late
-- Of them, what is in the history by now.
WITH late AS (
    DELETE FROM public.webhook_set_aside s USING changes c WHERE c.position = s.position RETURNING s.position
)
SELECT c.position, c.change, c.model_id, {is_prompt} AS is_prompt
FROM late JOIN changes c USING (position)
ORDER BY c.position

-- name: past
-- Webhooks that will not come by this position again.
SELECT webhook_id FROM public.webhook_cursors WHERE position >= $1

-- name: states
-- What webhooks were between two positions, the second included.
SELECT webhook_id, webhook, from_position, until_position FROM webhook_states
WHERE webhook_id = ANY ($1::uuid[]) AND until_position > $2 AND from_position <= $3

-- name: add
INSERT INTO public.webhook_deliveries (delivery_id, webhook_id, model_id, position, ordinal, entity, action)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::int[], $6::smallint[], $7::smallint[]
)

-- name: move
-- Answers nothing when somebody else moved it.
UPDATE public.webhook_cursors SET position = $3 WHERE webhook_id = $1 AND position = $2
RETURNING webhook_id

-- name: to_tell
-- Webhooks for which something waits.
SELECT webhook_id FROM public.webhook_cursors c
WHERE EXISTS (SELECT FROM public.webhook_deliveries d WHERE d.webhook_id = c.webhook_id AND NOT d.dead)

-- name: heads
-- The first that waits of each model but those that are on their way, the one that is due first in front.
SELECT head.*, extract(epoch FROM head.due_at - clock_timestamp())::float8 AS due_in_s,
    s.webhook, s.sealed_secret, c.change, {is_prompt} AS is_prompt
FROM (
    SELECT DISTINCT ON (model_id) * FROM public.webhook_deliveries
    WHERE webhook_id = $1 AND NOT dead AND model_id <> ALL ($2::uuid[])
    ORDER BY model_id, number
) AS head
JOIN webhook_states s ON s.webhook_id = head.webhook_id AND s.until_position = 9223372036854775807
LEFT JOIN changes c ON c.position = head.position
ORDER BY head.due_at, head.number
LIMIT $3

-- name: is_prompt
-- Of a change c, after it.
EXISTS (
    SELECT FROM model_tags t
    WHERE t.model_id = c.model_id AND t.key = 'mlflow.prompt.is_prompt' AND lower(t.value) = 'true'
        AND t.from_position <= c.position AND t.until_position > c.position
)

-- name: delivered
DELETE FROM public.webhook_deliveries WHERE number = $1

-- name: failed
UPDATE public.webhook_deliveries
SET attempts = attempts + 1, due_at = clock_timestamp() + $2::interval, dead = $3,
    last_attempt_at = clock_timestamp(), last_status = $4, last_error = $5
WHERE number = $1

-- name: bury
-- Of the dead of a webhook the newest are kept.
DELETE FROM public.webhook_deliveries WHERE number IN (
    SELECT number FROM public.webhook_deliveries WHERE webhook_id = $1 AND dead
    ORDER BY number DESC OFFSET $2
)

-- name: counts
SELECT count(*) FILTER (WHERE NOT dead) AS waiting, count(*) FILTER (WHERE dead) AS dead
FROM public.webhook_deliveries

-- name: empty_cursors
DELETE FROM public.webhook_cursors

-- name: empty_deliveries
DELETE FROM public.webhook_deliveries

-- name: page
SELECT d.*, c.name FROM public.webhook_deliveries d LEFT JOIN changes c USING (position)
WHERE d.number < $1 AND ($2::uuid IS NULL OR d.webhook_id = $2) AND ($3::boolean IS NULL OR d.dead = $3)
ORDER BY d.number DESC
LIMIT $4

-- name: redeliver
UPDATE public.webhook_deliveries SET dead = false, attempts = 0, due_at = clock_timestamp()
WHERE webhook_id = $1 AND CASE WHEN $2::uuid[] = '{}' THEN dead ELSE delivery_id = ANY ($2::uuid[]) END
RETURNING number
