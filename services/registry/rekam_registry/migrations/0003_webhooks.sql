-- Webhooks, as they are and as they were: what one is told depends on what it was when it happened.
-- What waits to be delivered is no projection of the log, and lies in schema public (see shared/).

CREATE TABLE webhooks (
    webhook_id       uuid PRIMARY KEY,
    created_position bigint NOT NULL,
    created_us       bigint NOT NULL
);

-- The order of a list.
CREATE INDEX webhooks_by_creation ON webhooks (created_position);

CREATE TABLE webhook_states (
    webhook_id     uuid NOT NULL,
    -- A Webhook without its times, serialized.
    webhook        bytea NOT NULL,
    -- A Fernet token; empty when nothing is signed.
    sealed_secret  bytea NOT NULL,
    from_position  bigint NOT NULL,
    until_position bigint NOT NULL,
    from_us        bigint NOT NULL,
    until_us       bigint NOT NULL,
    PRIMARY KEY (webhook_id, until_position)
);

CREATE INDEX webhook_states_now ON webhook_states (webhook_id) WHERE until_position = 9223372036854775807;
