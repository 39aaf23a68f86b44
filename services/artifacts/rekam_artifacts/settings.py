"""The artifacts service's settings, from the environment: what each role needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.settings import HostPort, Secret, setting
from rekam_runtime.telemetry import LOG_FORMATS, LOG_LEVELS


@dataclass(frozen=True, kw_only=True)
class MigrateSettings:
    postgres_url: Secret = setting("REKAM_POSTGRES_URL")
    log_format: str = setting("REKAM_LOG_FORMAT", default="json", choices=LOG_FORMATS)
    log_level: str = setting("REKAM_LOG_LEVEL", default="info", choices=LOG_LEVELS)


@dataclass(frozen=True, kw_only=True)
class RoleSettings(MigrateSettings, S3Settings):
    """What both roles need: both collect, one when it is time, one when it is asked to."""

    nats_url: Secret = setting("REKAM_NATS_URL")
    s3_bucket: str = setting("REKAM_S3_BUCKET")
    stream_replicas: int = setting("REKAM_STREAM_REPLICAS", default=1, at_least=1, at_most=5)
    # How long a read or a write waits for the projection.
    read_deadline_s: float = setting("REKAM_READ_DEADLINE_S", default=10.0, at_least=0.1, at_most=300)
    # How long bytes are kept that no file has, and uploads that nobody ends.
    grace_s: float = setting("REKAM_ARTIFACTS_GRACE_S", default=86_400.0, at_least=0)
    # A local stack can be emptied; set by `rekam up` alone.
    local: bool = setting("REKAM_LOCAL", default=False)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(RoleSettings):
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50053))
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 8083))


@dataclass(frozen=True, kw_only=True)
class ProjectSettings(RoleSettings):
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 0))
    # Pause between two rounds of collection, and between two looks at every object in S3.
    collect_every_s: float = setting("REKAM_ARTIFACTS_COLLECT_EVERY_S", default=300.0, at_least=0.01)
    sweep_every_s: float = setting("REKAM_ARTIFACTS_SWEEP_EVERY_S", default=21_600.0, at_least=0)
    # After a rebuild: how long the tables from before are kept for readers that are still in them.
    retired_kept_s: float = setting("REKAM_RETIRED_KEPT_S", default=300.0, at_least=0.0)
