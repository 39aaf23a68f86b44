-- Which replica does which work, until when. A replica that is gone or hangs stops renewing, and
-- another takes over. Emptied by a crash of the server, which ends every replica's work anyway.
CREATE UNLOGGED TABLE projection_lease (
    name   text COLLATE "C" PRIMARY KEY,
    holder text NOT NULL,
    until  timestamptz NOT NULL
);
