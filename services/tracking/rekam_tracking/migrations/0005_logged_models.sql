-- Logged models.
-- status holds the numbers of the proto enum LoggedModelStatus.

CREATE TABLE logged_models (
    model_id      text COLLATE "C" PRIMARY KEY,
    experiment_id bigint NOT NULL,
    name          text COLLATE "C" NOT NULL,
    status        smallint NOT NULL,
    lifecycle     smallint NOT NULL DEFAULT 0,
    created_ms    bigint NOT NULL,
    updated_ms    bigint NOT NULL,
    artifact_uri  text COLLATE "C" NOT NULL,
    -- NULL when not set (empty in the protos), so that no comparison matches.
    model_type    text COLLATE "C",
    source_run_id text COLLATE "C"
);

-- The default order of a search, and what clients ask for most: models of a name.
CREATE INDEX logged_models_by_creation ON logged_models (experiment_id, lifecycle, created_ms DESC, model_id);
CREATE INDEX logged_models_by_name ON logged_models (experiment_id, name);

CREATE TABLE logged_model_params (
    model_id text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    value    text COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, key)
);

CREATE TABLE logged_model_tags (
    model_id text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    value    text COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, key)
);

-- Every value; run_id and the dataset are empty where that was not said.
CREATE TABLE logged_model_metrics (
    model_id       text COLLATE "C" NOT NULL,
    key            text COLLATE "C" NOT NULL,
    value          float8 NOT NULL,
    step           bigint NOT NULL,
    time_us        bigint NOT NULL,
    dataset_name   text COLLATE "C" NOT NULL,
    dataset_digest text COLLATE "C" NOT NULL,
    run_id         text COLLATE "C" NOT NULL
);

CREATE INDEX logged_model_metrics_by_key ON logged_model_metrics (model_id, key, time_us, step);
