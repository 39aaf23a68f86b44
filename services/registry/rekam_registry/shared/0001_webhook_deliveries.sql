-- How far webhooks were told, and what they are still to be told: outlives every generation of the
-- projection, so that a rebuild sends nothing again.

-- Where deliveries began in this database: a log that was there before it has been told already.
CREATE TABLE webhook_beginning (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    position bigint NOT NULL
);

-- Everything up to the position is in webhook_deliveries, or was delivered.
CREATE TABLE webhook_cursors (
    webhook_id uuid PRIMARY KEY,
    position   bigint NOT NULL
);

-- A row is gone when it was delivered. What is sent follows from the event at the position.
CREATE TABLE webhook_deliveries (
    -- Grows in the order in which one webhook is to be told.
    number          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id     uuid NOT NULL UNIQUE,
    webhook_id      uuid NOT NULL,
    model_id        uuid NOT NULL,
    position        bigint NOT NULL,
    -- Of those that the event means.
    ordinal         int NOT NULL,
    -- Numbers of the proto enums.
    entity          smallint NOT NULL,
    action          smallint NOT NULL,
    dead            boolean NOT NULL DEFAULT false,
    attempts        int NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL DEFAULT now(),
    last_attempt_at timestamptz,
    last_status     int NOT NULL DEFAULT 0,
    last_error      text NOT NULL DEFAULT ''
);

CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, model_id, number) WHERE NOT dead;
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook_id, number) WHERE dead;
