"""The spool: records on disk until the server acknowledged them. Format: docs/spool.md."""
