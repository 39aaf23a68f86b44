-- Experiments and runs with their params and tags: the projection of the control events.
--
-- Everything here can be rebuilt from the log, whose order decided every name and
-- id, so there are no foreign keys: the log is the arbiter, not this schema.
-- Text compares and sorts byte by byte (COLLATE "C"), as the search grammar promises.
-- lifecycle and status hold the numbers of the proto enums Lifecycle and RunStatus.

CREATE TABLE experiments (
    experiment_id     bigint PRIMARY KEY,
    name              text COLLATE "C" NOT NULL UNIQUE,
    artifact_location text COLLATE "C" NOT NULL,
    lifecycle         smallint NOT NULL DEFAULT 0,
    created_ms        bigint NOT NULL,
    updated_ms        bigint NOT NULL
);

-- The default order of a search.
CREATE INDEX experiments_by_creation ON experiments (lifecycle, created_ms DESC, experiment_id);

CREATE TABLE experiment_tags (
    experiment_id bigint NOT NULL,
    key           text COLLATE "C" NOT NULL,
    value         text COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment_id, key)
);

-- Status and end are written after the start: leave room for updates in place.
CREATE TABLE runs (
    run_id        uuid PRIMARY KEY,
    experiment_id bigint NOT NULL,
    -- Equal to tag mlflow.runName.
    name          text COLLATE "C" NOT NULL,
    user_name     text COLLATE "C" NOT NULL DEFAULT '',
    status        smallint NOT NULL,
    -- NULL when not set (0 in the protos), so that no comparison matches.
    start_ms      bigint,
    end_ms        bigint,
    lifecycle     smallint NOT NULL DEFAULT 0,
    artifact_uri  text COLLATE "C" NOT NULL
) WITH (fillfactor = 85);

-- The default order of a search: a page is a walk of this index, runs without a start
-- last. Columns that change while a run lives (status, end_ms) stay out of indexes, so
-- updates stay in place.
CREATE INDEX runs_by_start ON runs
    (experiment_id, lifecycle, coalesce(start_ms, -9223372036854775808) DESC, run_id);

CREATE TABLE params (
    run_id uuid NOT NULL,
    key    text COLLATE "C" NOT NULL,
    value  text COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, key)
);

-- Values are longer than an index entry may be; their head finds and sorts all but
-- the ties. (250 + 200 characters of four bytes stay under the limit of 2,704.)
CREATE INDEX params_by_value ON params (key, left(value, 200), run_id);

CREATE TABLE tags (
    run_id uuid NOT NULL,
    key    text COLLATE "C" NOT NULL,
    value  text COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE INDEX tags_by_value ON tags (key, left(value, 200), run_id);

-- LIKE '%text%' without reading every tag. A trusted extension: the database's owner may
-- create it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX tags_by_text ON tags USING gin (value gin_trgm_ops);

-- Without these the planner takes keys and values for independent of each other.
CREATE STATISTICS params_values (mcv) ON key, (left(value, 200)) FROM params;
CREATE STATISTICS tags_values (mcv) ON key, (left(value, 200)) FROM tags;
