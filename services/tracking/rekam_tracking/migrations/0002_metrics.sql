-- Metrics: points as columns in chunks, who wrote them, and the latest value of each.

CREATE TABLE metric_keys (
    key_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key    text COLLATE "C" NOT NULL UNIQUE
);

-- The keys that share rows, in the order of their columns, named by content (KeySet.hash).
CREATE TABLE key_sets (
    key_set_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash       bytea NOT NULL UNIQUE,
    key_ids    int[] NOT NULL
);

-- key_sets.key_ids by key; column_index counts from 0.
CREATE TABLE key_set_columns (
    key_id       int NOT NULL,
    key_set_id   int NOT NULL,
    column_index int NOT NULL,
    PRIMARY KEY (key_id, key_set_id) INCLUDE (column_index)
);

-- What each writer of a run has sent. `received` makes every frame count once, and shows gaps.
-- Written with every batch: room for updates in place.
CREATE TABLE writers (
    writer_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id    uuid NOT NULL,
    writer    text COLLATE "C" NOT NULL,
    rank      int,
    received  int8multirange NOT NULL DEFAULT '{}',
    points    bigint NOT NULL DEFAULT 0,
    UNIQUE (run_id, writer)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);

-- Which key sets a run has points of, and how many rows. `small_chunks` and `changed_at` tell
-- the compactor where there is something to do.
CREATE TABLE run_key_sets (
    run_id       uuid NOT NULL,
    key_set_id   int NOT NULL,
    rows         bigint NOT NULL,
    small_chunks int NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, key_set_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);

-- A block of points: rows of one writer, for `columns` keys of a key set from first_column on.
-- Numbers are little-endian, 8 bytes each, as they came over the wire; column after column.
-- codec 0: plain. codec 1: times and steps as differences, compressed; each column of values
-- compressed by itself, up to byte column_ends[i].
CREATE TABLE metric_chunks (
    run_id       uuid NOT NULL,
    key_set_id   int NOT NULL,
    chunk_id     bigint GENERATED ALWAYS AS IDENTITY,
    writer_id    bigint NOT NULL,
    codec        smallint NOT NULL,
    rows         int NOT NULL,
    first_column int NOT NULL,
    columns      int NOT NULL,
    step_min     bigint NOT NULL,
    step_max     bigint NOT NULL,
    -- Not NULL: the steps are step_min, step_min + step_stride, ... and are not stored.
    step_stride  bigint,
    time_min     bigint NOT NULL,
    time_max     bigint NOT NULL,
    column_ends  int[],
    steps        bytea STORAGE EXTERNAL,
    times_us     bytea STORAGE EXTERNAL NOT NULL,
    values       bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (run_id, key_set_id, chunk_id)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.5);
-- STORAGE EXTERNAL: bytes as they are, so that substring() reads those of one column and no
-- others. What the compactor wrote is compressed already.

-- Latest row per key set of runs that are being written. All keys of a key set share its
-- rows, so the row with the greatest (step, time) is the latest of each key; of several with
-- the same, the greatest value of each key. A run with rows here is dirty: its latest values
-- are the greatest of these and those in metric_latest.
CREATE TABLE metric_live (
    run_id     uuid NOT NULL,
    key_set_id int NOT NULL,
    step       bigint NOT NULL,
    time_us    bigint NOT NULL,
    values     float8[] NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, key_set_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);

-- Latest value per key of runs that have ended, indexed for search.
CREATE TABLE metric_latest (
    run_id  uuid NOT NULL,
    key_id  int NOT NULL,
    value   float8 NOT NULL,
    step    bigint NOT NULL,
    time_us bigint NOT NULL,
    PRIMARY KEY (run_id, key_id)
);

CREATE INDEX metric_latest_by_value ON metric_latest (key_id, value, run_id);

-- What a value counts in "greatest": NaN is 0.
CREATE FUNCTION metric_rank(value float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN value = 'NaN' THEN 0 ELSE value END;

CREATE FUNCTION greatest_values(before float8[], after float8[]) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT array_agg(CASE WHEN metric_rank(b) > metric_rank(a) THEN b ELSE a END ORDER BY place)
        FROM unnest(before, after) WITH ORDINALITY AS pair (a, b, place)
    );
