-- Registered models, their versions, aliases, tags and requests, as they are and as they were.
--
-- Everything here can be rebuilt from the log, whose order decided every name and number, so there are
-- no foreign keys and no unique names: the log is the arbiter, not this schema.
--
-- A row says what was true from one event on (from_*) until another (until_*): positions of the log, and
-- their times in microseconds. What is true now has no end, 9223372036854775807. So "as of" is a
-- comparison, and searches of what is true now have indexes of their own.
-- Of one key only one row ends at a position, so the end is part of the primary key: what is true now is
-- found by it however long the history is.
-- Text compares and sorts byte by byte (COLLATE "C"), as the search grammar promises.
-- stage and state hold the numbers of the proto enums.

CREATE TABLE model_states (
    model_id       uuid NOT NULL,
    name           text COLLATE "C" NOT NULL,
    description    text COLLATE "C" NOT NULL,
    created_us     bigint NOT NULL,
    updated_us     bigint NOT NULL,
    -- A Protection, serialized; empty when nothing is protected.
    protection     bytea NOT NULL,
    from_position  bigint NOT NULL,
    until_position bigint NOT NULL,
    from_us        bigint NOT NULL,
    until_us       bigint NOT NULL,
    PRIMARY KEY (model_id, until_position)
);

-- Who has a name, and who had it.
CREATE INDEX model_states_by_name ON model_states (name, until_position);
-- The orders of a search.
CREATE INDEX model_states_now ON model_states (name) WHERE until_position = 9223372036854775807;
CREATE INDEX model_states_by_update ON model_states (updated_us DESC, name)
    WHERE until_position = 9223372036854775807;

CREATE TABLE model_tags (
    model_id       uuid NOT NULL,
    key            text COLLATE "C" NOT NULL,
    value          text COLLATE "C" NOT NULL,
    from_position  bigint NOT NULL,
    until_position bigint NOT NULL,
    from_us        bigint NOT NULL,
    until_us       bigint NOT NULL,
    PRIMARY KEY (model_id, key, until_position)
);

-- Values are longer than an index entry may be; their head finds all but the ties.
CREATE INDEX model_tags_by_value ON model_tags (key, left(value, 200), model_id)
    WHERE until_position = 9223372036854775807;

-- What of a version never changes.
CREATE TABLE versions (
    model_id        uuid NOT NULL,
    version         bigint NOT NULL,
    source          text COLLATE "C" NOT NULL,
    location        text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    run_link        text COLLATE "C" NOT NULL,
    logged_model_id text COLLATE "C" NOT NULL,
    digest          text COLLATE "C" NOT NULL,
    signature       text COLLATE "C" NOT NULL,
    user_name       text COLLATE "C" NOT NULL,
    created_us      bigint NOT NULL,
    -- A VersionReference, serialized; empty when it is no copy.
    copied_from     bytea NOT NULL,
    PRIMARY KEY (model_id, version)
);

CREATE INDEX versions_by_run ON versions (run_id);

CREATE TABLE version_states (
    model_id       uuid NOT NULL,
    version        bigint NOT NULL,
    -- Of the model, so that a search of versions is a walk of one index.
    name           text COLLATE "C" NOT NULL,
    stage          smallint NOT NULL,
    description    text COLLATE "C" NOT NULL,
    created_us     bigint NOT NULL,
    updated_us     bigint NOT NULL,
    from_position  bigint NOT NULL,
    until_position bigint NOT NULL,
    from_us        bigint NOT NULL,
    until_us       bigint NOT NULL,
    PRIMARY KEY (model_id, version, until_position)
);

-- The orders of a search, and the highest version, of a stage or at all.
CREATE INDEX version_states_by_update ON version_states (updated_us DESC, name, version DESC)
    WHERE until_position = 9223372036854775807;
CREATE INDEX version_states_by_creation ON version_states (created_us, name, version DESC)
    WHERE until_position = 9223372036854775807;
CREATE INDEX version_states_by_name ON version_states (name, version DESC)
    WHERE until_position = 9223372036854775807;
CREATE INDEX version_states_by_stage ON version_states (model_id, stage, version DESC)
    WHERE until_position = 9223372036854775807;
-- What a model's versions were.
CREATE INDEX version_states_once ON version_states (model_id, until_position);

CREATE TABLE version_tags (
    model_id       uuid NOT NULL,
    version        bigint NOT NULL,
    key            text COLLATE "C" NOT NULL,
    value          text COLLATE "C" NOT NULL,
    from_position  bigint NOT NULL,
    until_position bigint NOT NULL,
    from_us        bigint NOT NULL,
    until_us       bigint NOT NULL,
    PRIMARY KEY (model_id, version, key, until_position)
);

CREATE INDEX version_tags_by_value ON version_tags (key, left(value, 200), model_id, version)
    WHERE until_position = 9223372036854775807;

CREATE TABLE aliases (
    model_id       uuid NOT NULL,
    alias          text COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    from_position  bigint NOT NULL,
    until_position bigint NOT NULL,
    from_us        bigint NOT NULL,
    until_us       bigint NOT NULL,
    PRIMARY KEY (model_id, alias, until_position)
);

CREATE INDEX aliases_by_version ON aliases (model_id, version, alias) WHERE until_position = 9223372036854775807;

CREATE TABLE transitions (
    model_id       uuid NOT NULL,
    request_id     bigint NOT NULL,
    version        bigint NOT NULL,
    state          smallint NOT NULL,
    -- A TransitionRequest without the model's name, serialized.
    request        bytea NOT NULL,
    from_position  bigint NOT NULL,
    until_position bigint NOT NULL,
    from_us        bigint NOT NULL,
    until_us       bigint NOT NULL,
    PRIMARY KEY (model_id, request_id, until_position)
);

-- Every event, as history and watchers are told it.
CREATE TABLE changes (
    position bigint PRIMARY KEY,
    model_id uuid NOT NULL,
    -- The model's name after it, and before it where it is another.
    name     text COLLATE "C" NOT NULL,
    old_name text COLLATE "C",
    time_us  bigint NOT NULL,
    -- A Change, serialized.
    change   bytea NOT NULL
);

-- What each concerns: the model ('') and, of it, a version ('v7'), a stage ('s3') or an alias ('@x').
CREATE TABLE change_parts (
    model_id uuid NOT NULL,
    part     text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (model_id, part, position)
);
