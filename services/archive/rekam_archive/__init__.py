"""The archive service: copies streams to S3, and lets points age out of the log behind that."""
