"""The registry service's settings, from the environment: what each role needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime import roles
from rekam_runtime.settings import HostPort, Secret, setting


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    # Fernet keys, with commas: the first seals webhooks' secrets, all open them.
    webhook_keys: Secret = setting("REKAM_WEBHOOK_KEYS", default=Secret(""))
    # Whether webhooks may lead to http, loopback and private networks.
    webhook_private: bool = setting("REKAM_WEBHOOK_PRIVATE", default=False)
    # How long a receiver has to answer.
    webhook_timeout_s: float = setting("REKAM_WEBHOOK_TIMEOUT_S", default=30.0, at_least=0.1, at_most=300)


@dataclass(frozen=True, kw_only=True)
class ProjectSettings(roles.ProjectSettings, WebhookSettings):
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 8085))
    # A delivery is tried so often, with pauses that double from the first to the longest.
    webhook_attempts: int = setting("REKAM_WEBHOOK_ATTEMPTS", default=16, at_least=1, at_most=1_000)
    webhook_first_pause_s: float = setting("REKAM_WEBHOOK_FIRST_PAUSE_S", default=1.0, at_least=0.0)
    webhook_longest_pause_s: float = setting("REKAM_WEBHOOK_LONGEST_PAUSE_S", default=3_600.0, at_least=0.0)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(roles.ServeSettings, WebhookSettings):
    grpc_listen: HostPort = setting("REKAM_GRPC_LISTEN", default=HostPort("127.0.0.1", 50054))
    ops_listen: HostPort = setting("REKAM_OPS_LISTEN", default=HostPort("127.0.0.1", 8084))
    most_webhooks: int = setting("REKAM_MOST_WEBHOOKS", default=1_000, at_least=1)
    # Models changed lately are kept folded, within this.
    kept_models_mb: int = setting("REKAM_KEPT_MODELS_MB", default=64, at_least=1)
