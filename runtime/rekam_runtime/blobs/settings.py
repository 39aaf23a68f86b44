"""Where the blobs are, from the environment; a part of the settings of every role that uses them."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime.settings import Secret, setting


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Without a bucket there is no blob storage. Without an endpoint it is AWS.

    Without keys, those of the machine's own role are used, where there is one.
    Without a public endpoint clients send no bytes to it themselves; AWS has one too, to be named here.
    """

    s3_bucket: str = setting("REKAM_S3_BUCKET", default="")
    s3_endpoint: str = setting("REKAM_S3_ENDPOINT", default="")
    s3_public_endpoint: str = setting("REKAM_S3_PUBLIC_ENDPOINT", default="")
    s3_region: str = setting("REKAM_S3_REGION", default="us-east-1")
    s3_access_key: Secret = setting("REKAM_S3_ACCESS_KEY", default=Secret(""))
    s3_secret_key: Secret = setting("REKAM_S3_SECRET_KEY", default=Secret(""))
