"""The tracking service's settings, from the environment: what each role needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.settings import HostPort, Secret, setting


@dataclass(frozen=True, kw_only=True)
class MigrateSettings:
    postgres_url: Secret = setting("REKAM_POSTGRES_URL")
    log_format: str = setting("REKAM_LOG_FORMAT", default="json", choices=("json", "console"))
    log_level: str = setting("REKAM_LOG_LEVEL", default="info", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True, kw_only=True)
class ProjectSettings(MigrateSettings, S3Settings):
    nats_url: Secret = setting("REKAM_NATS_URL")
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 0))
    points_shards: int = setting("REKAM_POINTS_SHARDS", default=1, at_least=1, at_most=1024)
    stream_replicas: int = setting("REKAM_STREAM_REPLICAS", default=1, at_least=1, at_most=5)
    # A run whose writers sent heartbeats and are silent for longer has crashed.
    crashed_after_s: float = setting("REKAM_CRASHED_AFTER_S", default=60.0, at_least=5, at_most=86_400)
    # After a rebuild: how long the tables from before are kept for readers that are still in them.
    retired_kept_s: float = setting("REKAM_RETIRED_KEPT_S", default=300.0, at_least=0.0)
    # A local stack can be emptied; set by `rekam up` alone.
    local: bool = setting("REKAM_LOCAL", default=False)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(ProjectSettings):
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50052))
    # Experiments without a location of their own keep their artifacts at <root>/<id>.
    artifact_root: str = setting("REKAM_ARTIFACT_ROOT", default="mlflow-artifacts:/")
    # How long a strong read waits for the projection.
    read_deadline_s: float = setting("REKAM_READ_DEADLINE_S", default=10.0, at_least=0.1, at_most=300)
    # Runs written to lately are kept folded, within this.
    kept_runs_mb: int = setting("REKAM_KEPT_RUNS_MB", default=64, at_least=1)
