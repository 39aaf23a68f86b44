-- Datasets, and what runs read and make.

-- The first source, schema and profile that were logged of a name and digest.
CREATE TABLE datasets (
    experiment_id bigint NOT NULL,
    name          text COLLATE "C" NOT NULL,
    digest        text COLLATE "C" NOT NULL,
    source_type   text COLLATE "C" NOT NULL,
    source        text COLLATE "C" NOT NULL,
    schema        text COLLATE "C" NOT NULL,
    profile       text COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment_id, name, digest)
);

-- context: value of tag mlflow.data.context; NULL when there is none, so that no comparison matches.
-- Tags are read with their input, and never alone.
CREATE TABLE dataset_inputs (
    run_id        uuid NOT NULL,
    name          text COLLATE "C" NOT NULL,
    digest        text COLLATE "C" NOT NULL,
    experiment_id bigint NOT NULL,
    context       text COLLATE "C",
    tag_keys      text[] NOT NULL,
    tag_values    text[] NOT NULL,
    PRIMARY KEY (run_id, name, digest)
);

-- (500 + 36 characters of four bytes and a key stay under the 2,704 bytes of an index entry.)
CREATE INDEX dataset_inputs_by_dataset ON dataset_inputs (experiment_id, name, digest, run_id);

CREATE TABLE model_inputs (
    run_id   uuid NOT NULL,
    model_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, model_id)
);

CREATE TABLE model_outputs (
    run_id   uuid NOT NULL,
    model_id text COLLATE "C" NOT NULL,
    step     bigint NOT NULL,
    PRIMARY KEY (run_id, model_id)
);
