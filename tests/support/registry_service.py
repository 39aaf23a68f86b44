"""The registry service as it runs: both roles with their servers, on real NATS and Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio

from rekam_proto.log.v1.log_pb2_grpc import LogServiceStub
from rekam_proto.registry.v1.alias_pb2_grpc import AliasServiceStub
from rekam_proto.registry.v1.history_pb2_grpc import HistoryServiceStub
from rekam_proto.registry.v1.model_pb2_grpc import RegisteredModelServiceStub
from rekam_proto.registry.v1.resolve_pb2_grpc import ResolveServiceStub
from rekam_proto.registry.v1.transition_pb2_grpc import TransitionServiceStub
from rekam_proto.registry.v1.version_pb2_grpc import ModelVersionServiceStub
from rekam_proto.registry.v1.watch_pb2_grpc import WatchServiceStub
from rekam_proto.registry.v1.webhook_pb2_grpc import WebhookServiceStub
from rekam_registry import server
from rekam_registry.settings import ProjectSettings, ServeSettings
from rekam_runtime.rpc.client import channel
from tests.support.both_roles import BothRoles, running

if TYPE_CHECKING:
    from rekam_proto.log.v1.log_pb2_grpc import LogServiceAsyncStub
    from rekam_proto.registry.v1.alias_pb2_grpc import AliasServiceAsyncStub
    from rekam_proto.registry.v1.history_pb2_grpc import HistoryServiceAsyncStub
    from rekam_proto.registry.v1.model_pb2_grpc import RegisteredModelServiceAsyncStub
    from rekam_proto.registry.v1.resolve_pb2_grpc import ResolveServiceAsyncStub
    from rekam_proto.registry.v1.transition_pb2_grpc import TransitionServiceAsyncStub
    from rekam_proto.registry.v1.version_pb2_grpc import ModelVersionServiceAsyncStub
    from rekam_proto.registry.v1.watch_pb2_grpc import WatchServiceAsyncStub
    from rekam_proto.registry.v1.webhook_pb2_grpc import WebhookServiceAsyncStub


class RegistryClient:
    """Every service of the registry on one channel."""

    def __init__(self, opened: grpc.aio.Channel) -> None:
        self.channel = opened
        self.models: RegisteredModelServiceAsyncStub = RegisteredModelServiceStub(opened)
        self.versions: ModelVersionServiceAsyncStub = ModelVersionServiceStub(opened)
        self.aliases: AliasServiceAsyncStub = AliasServiceStub(opened)
        self.transitions: TransitionServiceAsyncStub = TransitionServiceStub(opened)
        self.history: HistoryServiceAsyncStub = HistoryServiceStub(opened)
        self.resolve: ResolveServiceAsyncStub = ResolveServiceStub(opened)
        self.watch: WatchServiceAsyncStub = WatchServiceStub(opened)
        self.webhooks: WebhookServiceAsyncStub = WebhookServiceStub(opened)
        self.log: LogServiceAsyncStub = LogServiceStub(opened)


@dataclass(frozen=True)
class RegistryService(BothRoles):
    """How to reach a running service."""

    client: RegistryClient


@asynccontextmanager
async def running_registry(
    nats_url: str, postgres_url: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[RegistryService]:
    """A migrated database, `serve` and `project`, ready; stopped in order afterwards."""
    serve, project = (server.serve, ServeSettings), (server.project, ProjectSettings)
    async with running(serve, project, server.migrate, nats_url, postgres_url, environ) as both:
        opened = channel(both.target)
        try:
            yield RegistryService(both.target, both.serve_ops, both.project_ops, RegistryClient(opened))
        finally:
            await opened.close()
