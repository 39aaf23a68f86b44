"""The local stack: Rekam on one machine, with the real NATS, Postgres and S3, in one command."""
