"""The ingest stream: admit, check, publish, acknowledge."""
