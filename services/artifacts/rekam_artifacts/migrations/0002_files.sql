-- Files, the bytes they have, uploads, uses: the projection of the service's events.
--
-- Everything here can be rebuilt from the log, whose order decides, so there are no foreign keys.
-- A folder is written with a '/' behind it, the root as ''. Text compares byte by byte (COLLATE "C"), so
-- whatever lies below a folder is one range of the primary key, and what lies in it another.

CREATE TABLE entries (
    folder     text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    -- SHA-256; NULL for a folder, which is here as long as something lies in it.
    digest     bytea,
    media_type text COLLATE "C" NOT NULL DEFAULT '',
    -- The run or model that keeps the file among its artifacts, by its path.
    owner      text COLLATE "C",
    updated_us bigint NOT NULL DEFAULT 0,
    -- (A path of 2,048 bytes stays under the 2,704 of an index entry.)
    PRIMARY KEY (folder, name)
);

CREATE INDEX entries_by_digest ON entries (digest) WHERE digest IS NOT NULL;
CREATE INDEX entries_by_owner ON entries (owner) WHERE owner IS NOT NULL;

-- Bytes that are stored, once each.
CREATE TABLE blobs (
    digest          bytea PRIMARY KEY,
    object_key      text COLLATE "C" NOT NULL UNIQUE,
    size            bigint NOT NULL,
    -- Since when no file has them; NULL while one does.
    unreferenced_us bigint
);

CREATE INDEX blobs_unreferenced ON blobs (unreferenced_us) WHERE unreferenced_us IS NOT NULL;

-- Objects in S3 that were taken away: they are never a blob's again, whether removed already or not.
CREATE TABLE taken_objects (
    object_key   text COLLATE "C" PRIMARY KEY,
    -- S3's id of an upload in parts that may not have ended; '' when there is none.
    multipart_id text NOT NULL DEFAULT '',
    removed      boolean NOT NULL DEFAULT false
);

CREATE INDEX taken_objects_to_remove ON taken_objects (object_key) WHERE NOT removed;

CREATE TABLE uploads (
    upload_id    uuid PRIMARY KEY,
    path         text COLLATE "C" NOT NULL,
    object_key   text COLLATE "C" NOT NULL UNIQUE,
    multipart_id text NOT NULL,
    size         bigint,
    digest       bytea,
    media_type   text COLLATE "C" NOT NULL,
    started_us   bigint NOT NULL,
    -- It is listed; kept for a while, for whoever asks again because an answer was lost.
    completed    boolean NOT NULL DEFAULT false
);

CREATE INDEX uploads_by_start ON uploads (started_us);

-- Puts that the log's order decided against, for those who wait for their outcome.
CREATE TABLE refusals (
    position bigint NOT NULL,
    number   int NOT NULL,
    field    text NOT NULL,
    reason   text NOT NULL,
    PRIMARY KEY (position, number)
);

CREATE TABLE uses (
    run_id  text COLLATE "C" NOT NULL,
    path    text COLLATE "C" NOT NULL,
    digest  bytea NOT NULL,
    used_us bigint NOT NULL,
    PRIMARY KEY (run_id, path, digest)
);

CREATE INDEX uses_by_digest ON uses (digest);
