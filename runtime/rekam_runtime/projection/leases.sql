-- name: attend
-- That the replica is there; replicas that are gone for long are forgotten.
WITH gone AS (
    DELETE FROM public.projection_lease WHERE name LIKE 'replica %' AND until < clock_timestamp() - interval '1 minute'
)
INSERT INTO public.projection_lease (name, holder, until)
VALUES ('replica ' || $1, $1, clock_timestamp() + $2::interval)
ON CONFLICT (name) DO UPDATE SET until = excluded.until;

-- name: renew
UPDATE public.projection_lease SET until = clock_timestamp() + $2::interval
WHERE holder = $1 AND name NOT LIKE 'replica %'
RETURNING name;

-- name: all
SELECT name, holder, until < clock_timestamp() AS expired FROM public.projection_lease;

-- name: take
INSERT INTO public.projection_lease AS lease (name, holder, until)
VALUES ($1, $2, clock_timestamp() + $3::interval)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE lease.until < clock_timestamp()
RETURNING name;

-- name: release
DELETE FROM public.projection_lease WHERE holder = $1 AND name = ANY ($2::text[]);

-- name: evict
-- A replica that hangs may sit in a transaction, and keep the rows that it has locked.
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = $1 AND datname = current_database() AND usename = current_user;
