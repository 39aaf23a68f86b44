"""The artifacts service: what runs and models keep as files: manifests, blobs in S3, lineage."""
