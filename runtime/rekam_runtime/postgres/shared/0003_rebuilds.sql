-- Rebuilds: what was asked for, and how far it is. Everything that must survive whoever does it.
CREATE TABLE projection_rebuild (
    rebuild_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state              text NOT NULL DEFAULT 'requested' CHECK (state IN
        ('requested', 'projecting', 'comparing', 'switching', 'done', 'different', 'cancelled', 'failed')),
    -- What it was told, which it obeys within moments.
    paused             boolean NOT NULL DEFAULT false,
    cancelled          boolean NOT NULL DEFAULT false,
    accept_differences boolean NOT NULL,
    actor              text NOT NULL,
    requested_at       timestamptz NOT NULL DEFAULT now(),
    ended_at           timestamptz,
    -- NULL before it was made.
    generation         int,
    projecting_s       float8 NOT NULL DEFAULT 0,
    comparing_s        float8 NOT NULL DEFAULT 0,
    -- Of the last seconds; NULL when nothing is known.
    records_per_s      float8,
    points_per_s       float8,
    bytes_per_s        float8,
    left_s             float8,
    message            text NOT NULL DEFAULT '',
    differing          bigint NOT NULL DEFAULT 0,
    -- The first of them: [table, owner, rows now, rows rebuilt].
    differences        jsonb NOT NULL DEFAULT '[]'
);

-- One at a time.
CREATE UNIQUE INDEX projection_rebuild_going_on ON projection_rebuild ((ended_at IS NULL)) WHERE ended_at IS NULL;

-- Moved in the transactions that write the rows.
CREATE TABLE projection_rebuild_stream (
    rebuild_id bigint NOT NULL,
    stream     text COLLATE "C" NOT NULL,
    position   bigint NOT NULL DEFAULT 0,
    target     bigint NOT NULL DEFAULT 0,
    records    bigint NOT NULL DEFAULT 0,
    points     bigint NOT NULL DEFAULT 0,
    bytes      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (rebuild_id, stream)
) WITH (fillfactor = 50);
