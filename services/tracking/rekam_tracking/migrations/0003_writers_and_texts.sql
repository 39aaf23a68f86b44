-- Writers are heard, and write lines of text.

-- When the writer was heard last (a gateway's clock, microseconds), by anything that it sent and by
-- a heartbeat, and how far apart those come; NULL when it never sent one.
ALTER TABLE writers ADD COLUMN heard_us bigint, ADD COLUMN beat_us bigint, ADD COLUMN heartbeat_ms int;

-- Runs with writers that send heartbeats, as long as somebody must watch whether they go on: a
-- heartbeat adds its run, the watcher takes away those that have ended. Not more than is
-- running, so that a look is cheap.
CREATE TABLE watched_runs (
    run_id uuid PRIMARY KEY
);

-- What each writer has written of each text stream.
CREATE TABLE text_streams (
    run_id    uuid NOT NULL,
    stream    text COLLATE "C" NOT NULL,
    writer_id bigint NOT NULL,
    lines     bigint NOT NULL,
    bytes     bigint NOT NULL,
    PRIMARY KEY (run_id, stream, writer_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);

-- Lines of one writer, one after the other; chunks of a stream in the order of the log.
-- size: bytes of the lines. content is a serialized TextBlock, its writer and rank left out.
-- codec 0: plain. codec 1: zstd.
CREATE TABLE text_chunks (
    run_id    uuid NOT NULL,
    stream    text COLLATE "C" NOT NULL,
    chunk_id  bigint GENERATED ALWAYS AS IDENTITY,
    writer_id bigint NOT NULL,
    lines     int NOT NULL,
    size      int NOT NULL,
    time_min  bigint NOT NULL,
    time_max  bigint NOT NULL,
    codec     smallint NOT NULL,
    content   bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (run_id, stream, chunk_id)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.5);
