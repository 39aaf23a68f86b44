-- What stands beside the generations of a projection and outlives each of them; in schema public.

-- A generation is the schema g<number> with all tables of a projection. A number is never used again.
CREATE TABLE projection_generation (
    number       int PRIMARY KEY CHECK (number > 0),
    state        text NOT NULL CHECK (state IN ('building', 'active', 'retired', 'dropped')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz,
    retired_at   timestamptz
);

CREATE UNIQUE INDEX projection_generation_active ON projection_generation (state) WHERE state = 'active';

-- Makes the session see the active generation from now on, whatever becomes of it. Answers its number
-- in a row of its own, then the positions of streams: for a reader all of it in one round trip.
CREATE FUNCTION pin_generation(streams text[]) RETURNS TABLE (generation int, stream text, "position" bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    SELECT g.number INTO STRICT generation FROM public.projection_generation g WHERE g.state = 'active';
    PERFORM set_config('search_path', format('g%s, public', generation), false);
    RETURN NEXT;
    RETURN QUERY
        SELECT generation, p.stream, p.position FROM projection_position p WHERE p.stream = ANY (streams);
END
$$;
