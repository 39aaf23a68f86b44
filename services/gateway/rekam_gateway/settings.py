"""The gateway's settings, from the environment."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.settings import HostPort, Secret, setting


@dataclass(frozen=True)
class Settings(S3Settings):
    nats_url: Secret = setting("REKAM_NATS_URL")
    tracking_target: str = setting("REKAM_TRACKING_TARGET")
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50051))
    http_listen: HostPort = setting("REKAM_HTTP_LISTEN", default=HostPort("127.0.0.1", 5000))
    # A second address for health, readiness and figures: behind a shared port one cannot choose
    # whom to ask.
    ops_listen: HostPort | None = setting("REKAM_OPS_LISTEN", default=None)
    # Several gateways of one machine share the two addresses above.
    reuse_port: bool = setting("REKAM_REUSE_PORT", default=False)
    # Host headers that are answered besides loopback and private addresses, and origins of web pages
    # that may write; `*` stands for anything.
    allowed_hosts: tuple[str, ...] = setting("REKAM_ALLOWED_HOSTS", default=())
    allowed_origins: tuple[str, ...] = setting("REKAM_ALLOWED_ORIGINS", default=())
    # In front of every HTTP path.
    static_prefix: str = setting("REKAM_STATIC_PREFIX", default="")
    points_shards: int = setting("REKAM_POINTS_SHARDS", default=1, at_least=1, at_most=1024)
    stream_replicas: int = setting("REKAM_STREAM_REPLICAS", default=1, at_least=1, at_most=5)
    # Empty, or without a bucket: there are none.
    artifacts_target: str = setting("REKAM_ARTIFACTS_TARGET", default="")
    registry_target: str = setting("REKAM_REGISTRY_TARGET", default="")
    # Where the archive says what it has; empty = there is none.
    archive_target: str = setting("REKAM_ARCHIVE_TARGET", default="")
    # Control of a local stack; set by `rekam up` alone.
    local_control_target: str = setting("REKAM_LOCAL_CONTROL_TARGET", default="")
    local: bool = setting("REKAM_LOCAL", default=False)
    log_format: str = setting("REKAM_LOG_FORMAT", default="json", choices=("json", "console"))
    log_level: str = setting("REKAM_LOG_LEVEL", default="info", choices=("debug", "info", "warning", "error"))
