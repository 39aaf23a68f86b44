"""The tracking service's settings, from the environment: what each role needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime import roles
from rekam_runtime.settings import HostPort, setting


@dataclass(frozen=True, kw_only=True)
class TrackingSettings(roles.RoleSettings):
    """What both roles need."""

    points_shards: int = setting("REKAM_POINTS_SHARDS", default=1, at_least=1, at_most=1024)
    # A run whose writers sent heartbeats and are silent for longer has crashed.
    crashed_after_s: float = setting("REKAM_CRASHED_AFTER_S", default=60.0, at_least=5, at_most=86_400)


@dataclass(frozen=True, kw_only=True)
class ProjectSettings(TrackingSettings, roles.ProjectSettings):
    pass


@dataclass(frozen=True, kw_only=True)
class ServeSettings(TrackingSettings, roles.ServeSettings):
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50052))
    # Experiments without a location of their own keep their artifacts at <root>/<id>.
    artifact_root: str = setting("REKAM_ARTIFACT_ROOT", default="mlflow-artifacts:/")
    # Runs written to lately are kept folded, within this.
    kept_runs_mb: int = setting("REKAM_KEPT_RUNS_MB", default=64, at_least=1)
