"""Blob storage: its port, the S3 adapter and the in-memory twin."""
