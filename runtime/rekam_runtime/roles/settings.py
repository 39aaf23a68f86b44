"""Settings that roles of one kind have in every service; a service adds its own, and its ports."""

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
class RoleSettings(MigrateSettings):
    """Of a role that is connected to the log."""

    nats_url: Secret = setting("REKAM_NATS_URL")
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 0))
    stream_replicas: int = setting("REKAM_STREAM_REPLICAS", default=1, at_least=1, at_most=5)
    # A local stack can be emptied; set by `rekam up` alone.
    local: bool = setting("REKAM_LOCAL", default=False)


@dataclass(frozen=True, kw_only=True)
class ProjectSettings(RoleSettings, S3Settings):
    """The bucket has the archive: a projection may be behind what the streams still have."""

    # After a rebuild: how long the tables from before are kept for readers that are still in them.
    retired_kept_s: float = setting("REKAM_RETIRED_KEPT_S", default=300.0, at_least=0.0)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(RoleSettings):
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN")
    # How long a strong read waits for the projection.
    read_deadline_s: float = setting("REKAM_READ_DEADLINE_S", default=10.0, at_least=0.1, at_most=300)
