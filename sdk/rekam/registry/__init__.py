"""The registry for programs that serve models: a view in memory that follows it live.

    with Registry(names=["Fraud"]) as registry:
        version = registry.resolve("models:/Fraud@champion")
        for version in registry.follow("models:/Fraud@champion"):
            load(version)

See docs/registry.md.
"""

from rekam.registry.registry import Registry, Status
from rekam.registry.subscriptions import Changes, Resolutions

__all__ = ["Changes", "Registry", "Resolutions", "Status"]
