-- How far each stream is applied; moved in the transaction that writes the rows.
CREATE TABLE projection_position (
    stream   text   COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL CHECK (position >= 0)
);

-- Records that could not be applied, set aside with the reason, until an operator decides.
CREATE TABLE quarantine (
    stream   text        COLLATE "C" NOT NULL,
    position bigint      NOT NULL,
    subject  text        NOT NULL,
    reason   text        NOT NULL,
    data     bytea       NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, position)
);
