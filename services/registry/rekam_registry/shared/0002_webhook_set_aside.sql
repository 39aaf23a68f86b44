-- Events that were in quarantine when it was their turn: told when they are in the history after all.
CREATE TABLE webhook_set_aside (
    position bigint PRIMARY KEY
);
