-- Metrics: points as chunks of columns, what has arrived from whom, and latest values.

CREATE TABLE metric_keys (
    key_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key    text COLLATE "C" NOT NULL UNIQUE
);

-- The columns of frames, in order, named by content.
CREATE TABLE key_sets (
    key_set_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash       bytea NOT NULL UNIQUE,
    key_ids    int[] NOT NULL
);

CREATE TABLE key_set_columns (
    key_id       int NOT NULL,
    key_set_id   int NOT NULL,
    column_index int NOT NULL,
    PRIMARY KEY (key_id, key_set_id)
);

-- What each writer of a run has sent: the frames' sequences, and points in all.
CREATE TABLE writers (
    run_id   uuid NOT NULL,
    writer   text COLLATE "C" NOT NULL,
    rank     int,
    received int8multirange NOT NULL,
    points   bigint NOT NULL,
    PRIMARY KEY (run_id, writer)
) WITH (fillfactor = 50);

-- Rows of one key set of one run and writer. Arrays are little-endian; "values" stands
-- column by column: value of column k at row i is number k * rows + i. Uncompressed
-- and out of line, so that substring() reads only the column that is asked for.
CREATE TABLE metric_chunks (
    chunk_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     uuid NOT NULL,
    key_set_id int NOT NULL,
    writer     text COLLATE "C" NOT NULL,
    rows       int NOT NULL,
    step_min   bigint NOT NULL,
    step_max   bigint NOT NULL,
    time_min   bigint NOT NULL,
    time_max   bigint NOT NULL,
    steps      bytea STORAGE EXTERNAL NOT NULL,
    times_us   bytea STORAGE EXTERNAL NOT NULL,
    "values"   bytea STORAGE EXTERNAL NOT NULL
);

CREATE INDEX metric_chunks_by_run ON metric_chunks (run_id, key_set_id, time_min, chunk_id);
-- Where the compactor looks: small chunks, in the order they came.
CREATE INDEX metric_chunks_small ON metric_chunks (run_id, key_set_id, writer, chunk_id) WHERE rows < 1024;

-- Latest row of each key set of a run that is being written. All keys of a key set share
-- the row, so the latest of each is the row with the greatest (step, time); of several
-- rows with the same step and time, the greatest value of each key.
CREATE TABLE metric_live (
    run_id     uuid NOT NULL,
    key_set_id int NOT NULL,
    step       bigint NOT NULL,
    time_us    bigint NOT NULL,
    "values"   float8[] NOT NULL,
    PRIMARY KEY (run_id, key_set_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- Latest value of each key of runs that have ended. A run that has rows in metric_live
-- too has the greatest of both.
CREATE TABLE metric_latest (
    run_id  uuid NOT NULL,
    key_id  int NOT NULL,
    value   float8 NOT NULL,
    step    bigint NOT NULL,
    time_us bigint NOT NULL,
    PRIMARY KEY (run_id, key_id)
);

CREATE INDEX metric_latest_by_value ON metric_latest (key_id, value, run_id);

-- The order in which one value is later than another at the same step and time: NaN counts as 0.
CREATE FUNCTION metric_rank(value float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN value = 'NaN' THEN 0 ELSE value END;

CREATE FUNCTION greatest_values(a float8[], b float8[]) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT array_agg(CASE WHEN metric_rank(y) > metric_rank(x) THEN y ELSE x END ORDER BY i)
        FROM unnest(a, b) WITH ORDINALITY AS pair (x, y, i)
    );
