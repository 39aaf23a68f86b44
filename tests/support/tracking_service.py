"""The tracking service as it runs: both roles with their servers, on real NATS and Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio

from rekam_proto.tracking.v1.experiment_pb2_grpc import ExperimentServiceStub
from rekam_proto.tracking.v1.metric_pb2_grpc import MetricServiceStub
from rekam_proto.tracking.v1.run_pb2_grpc import RunServiceStub
from rekam_runtime.rpc.client import channel
from rekam_tracking import server
from rekam_tracking.settings import ProjectSettings, ServeSettings
from tests.support.both_roles import BothRoles, running

if TYPE_CHECKING:
    from rekam_proto.tracking.v1.experiment_pb2_grpc import ExperimentServiceAsyncStub
    from rekam_proto.tracking.v1.metric_pb2_grpc import MetricServiceAsyncStub
    from rekam_proto.tracking.v1.run_pb2_grpc import RunServiceAsyncStub


@dataclass(frozen=True)
class TrackingService(BothRoles):
    """How to reach a running service."""

    channel: grpc.aio.Channel
    experiments: ExperimentServiceAsyncStub
    runs: RunServiceAsyncStub
    metrics: MetricServiceAsyncStub


@asynccontextmanager
async def running_tracking(
    nats_url: str, postgres_url: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[TrackingService]:
    """A migrated database, `serve` and `project`, ready; stopped in order afterwards."""
    serve, project = (server.serve, ServeSettings), (server.project, ProjectSettings)
    async with running(serve, project, server.migrate, nats_url, postgres_url, environ) as both:
        opened = channel(both.target)
        try:
            yield TrackingService(
                both.target,
                both.serve_ops,
                both.project_ops,
                opened,
                ExperimentServiceStub(opened),
                RunServiceStub(opened),
                MetricServiceStub(opened),
            )
        finally:
            await opened.close()
