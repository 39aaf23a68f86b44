"""The registry service's settings, from the environment: what each role needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime.settings import HostPort, Secret, setting
from rekam_runtime.telemetry import LOG_FORMATS, LOG_LEVELS


@dataclass(frozen=True, kw_only=True)
class MigrateSettings:
    postgres_url: Secret = setting("REKAM_POSTGRES_URL")
    log_format: str = setting("REKAM_LOG_FORMAT", default="json", choices=LOG_FORMATS)
    log_level: str = setting("REKAM_LOG_LEVEL", default="info", choices=LOG_LEVELS)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(MigrateSettings):
    nats_url: Secret = setting("REKAM_NATS_URL")
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50054))
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 8084))
    stream_replicas: int = setting("REKAM_STREAM_REPLICAS", default=1, at_least=1, at_most=5)
    # A local stack can be emptied; set by `rekam up` alone.
    local: bool = setting("REKAM_LOCAL", default=False)
