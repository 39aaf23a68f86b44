"""Bytes of artifacts between clients and S3; what they are called, the artifacts service decides."""
