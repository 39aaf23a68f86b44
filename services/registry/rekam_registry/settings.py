"""The registry service's settings, from the environment: what each role needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime import roles
from rekam_runtime.settings import HostPort, setting


@dataclass(frozen=True, kw_only=True)
class ProjectSettings(roles.ProjectSettings):
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 8085))


@dataclass(frozen=True, kw_only=True)
class ServeSettings(roles.ServeSettings):
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50054))
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 8084))
    # Models changed lately are kept folded, within this.
    kept_models_mb: int = setting("REKAM_KEPT_MODELS_MB", default=64, at_least=1)
