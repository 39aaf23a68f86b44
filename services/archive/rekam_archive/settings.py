"""The archive service's settings, from the environment."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.settings import HostPort, Secret, setting
from rekam_runtime.telemetry import LOG_FORMATS, LOG_LEVELS

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Settings(S3Settings):
    nats_url: Secret = setting("REKAM_NATS_URL")
    s3_bucket: str = setting("REKAM_S3_BUCKET")
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50055))
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 8085))
    # A segment is cut at this size (of its records, before compression), or this age of its first record.
    points_bytes: int = setting(
        "REKAM_ARCHIVE_POINTS_BYTES", default=64 * _MIB, at_least=1, at_most=1024 * _MIB
    )
    points_age_s: float = setting("REKAM_ARCHIVE_POINTS_S", default=900.0, at_least=0)
    control_bytes: int = setting(
        "REKAM_ARCHIVE_CONTROL_BYTES", default=8 * _MIB, at_least=1, at_most=1024 * _MIB
    )
    control_age_s: float = setting("REKAM_ARCHIVE_CONTROL_S", default=300.0, at_least=0)
    # Points that are archived are dropped from the log when they are older, or when their stream is larger.
    points_kept_hours: float = setting("REKAM_POINTS_KEPT_HOURS", default=24.0, at_least=0)
    points_kept_bytes: int = setting("REKAM_POINTS_KEPT_BYTES", default=8192 * _MIB, at_least=0)
    # Pause between two looks at the streams.
    every_s: float = setting("REKAM_ARCHIVE_EVERY_S", default=5.0, at_least=0.01)
    # A local stack can be emptied; set by `rekam up` alone.
    local: bool = setting("REKAM_LOCAL", default=False)
    log_format: str = setting("REKAM_LOG_FORMAT", default="json", choices=LOG_FORMATS)
    log_level: str = setting("REKAM_LOG_LEVEL", default="info", choices=LOG_LEVELS)
