"""The artifacts service's settings, from the environment: what each role needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime import roles
from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.settings import HostPort, setting


@dataclass(frozen=True, kw_only=True)
class ArtifactsSettings(roles.RoleSettings, S3Settings):
    """What both roles need: both collect, one when it is time, one when it is asked to."""

    s3_bucket: str = setting("REKAM_S3_BUCKET")
    # How long a read or a write waits for the projection.
    read_deadline_s: float = setting("REKAM_READ_DEADLINE_S", default=10.0, at_least=0.1, at_most=300)
    # How long bytes are kept that no file has, and uploads that nobody ends.
    grace_s: float = setting("REKAM_ARTIFACTS_GRACE_S", default=86_400.0, at_least=0)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(ArtifactsSettings, roles.ServeSettings):
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50053))
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 8083))


@dataclass(frozen=True, kw_only=True)
class ProjectSettings(ArtifactsSettings, roles.ProjectSettings):
    # Pause between two rounds of collection, and between two looks at every object in S3.
    collect_every_s: float = setting("REKAM_ARTIFACTS_COLLECT_EVERY_S", default=300.0, at_least=0.01)
    sweep_every_s: float = setting("REKAM_ARTIFACTS_SWEEP_EVERY_S", default=21_600.0, at_least=0)
