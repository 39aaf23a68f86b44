-- name: is_before_generations
-- A database of the time when a projection's tables lay in public.
SELECT to_regclass('public.projection_position') IS NOT NULL;

-- name: move_into_first
-- What is ours; extensions stay where they are.
DO $$
DECLARE
    one text;
BEGIN
    CREATE SCHEMA g1;
    FOR one IN
        SELECT format('TABLE public.%I', relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relowner = current_user::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = pg_class.oid AND d.deptype = 'e')
        UNION ALL
        SELECT format('FUNCTION %s', oid::regprocedure) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner = current_user::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = pg_proc.oid AND d.deptype = 'e')
        UNION ALL
        SELECT format('STATISTICS public.%I', stxname) FROM pg_statistic_ext
        WHERE stxnamespace = 'public'::regnamespace AND stxowner = current_user::regrole
    LOOP
        EXECUTE format('ALTER %s SET SCHEMA g1', one);
    END LOOP;
END
$$;

-- name: add_first
INSERT INTO public.projection_generation (number, state, activated_at)
SELECT 1, 'active', now() WHERE NOT EXISTS (SELECT FROM public.projection_generation)
ON CONFLICT DO NOTHING;

-- name: migrated
-- The generations that a migration is for, the active one last.
SELECT number FROM public.projection_generation WHERE state IN ('building', 'active') ORDER BY state DESC;

-- name: pin
SELECT generation, stream, position FROM public.pin_generation($1);

-- name: see
SELECT set_config('search_path', $1, false);

-- name: see_by_default
-- For sessions to come, psql's too: nothing of ours relies on it.
SELECT format('ALTER ROLE %I IN DATABASE %I SET search_path = %I, public',
              current_user, current_database(), $1::text);

-- name: add
INSERT INTO public.projection_generation (number, state)
SELECT coalesce(max(number), 0) + 1, 'building' FROM public.projection_generation
RETURNING number;

-- name: retire_active
UPDATE public.projection_generation SET state = 'retired', retired_at = now() WHERE state = 'active';

-- name: activate
UPDATE public.projection_generation SET state = 'active', activated_at = now()
WHERE number = $1 AND state = 'building'
RETURNING number;

-- name: drop
UPDATE public.projection_generation SET state = 'dropped' WHERE number = $1 AND state <> 'active'
RETURNING number;

-- name: retired_before
SELECT number FROM public.projection_generation WHERE state = 'retired' AND retired_at < now() - $1::interval;

-- name: tables
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = $1;
