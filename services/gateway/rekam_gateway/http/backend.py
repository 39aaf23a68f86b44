"""What stands behind the door: the services' stubs, and what the gateway does itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio

from rekam_gateway.artifacts.transfer import Transfer
from rekam_gateway.http.errors import Coded
from rekam_gateway.ingest.runs import Runs
from rekam_gateway.ingest.writers import RunWriters
from rekam_proto.registry.v1 import alias_pb2_grpc, model_pb2_grpc, version_pb2_grpc, webhook_pb2_grpc
from rekam_proto.tracking.v1 import (
    dataset_pb2_grpc,
    experiment_pb2_grpc,
    logged_model_pb2_grpc,
    metric_pb2,
    run_pb2_grpc,
)
from rekam_runtime.errors import Unsupported

if TYPE_CHECKING:
    from rekam_proto.artifacts.v1.artifact_pb2_grpc import ArtifactServiceAsyncStub
    from rekam_proto.registry.v1.alias_pb2_grpc import AliasServiceAsyncStub
    from rekam_proto.registry.v1.model_pb2_grpc import RegisteredModelServiceAsyncStub
    from rekam_proto.registry.v1.version_pb2_grpc import ModelVersionServiceAsyncStub
    from rekam_proto.registry.v1.webhook_pb2_grpc import WebhookServiceAsyncStub
    from rekam_proto.tracking.v1.dataset_pb2_grpc import DatasetServiceAsyncStub
    from rekam_proto.tracking.v1.experiment_pb2_grpc import ExperimentServiceAsyncStub
    from rekam_proto.tracking.v1.logged_model_pb2_grpc import LoggedModelServiceAsyncStub
    from rekam_proto.tracking.v1.run_pb2_grpc import RunServiceAsyncStub

_METRICS = f"/{metric_pb2.DESCRIPTOR.services_by_name['MetricService'].full_name}"


@dataclass(frozen=True)
class Artifacts:
    """direct: whether clients can reach S3 themselves."""

    files: ArtifactServiceAsyncStub
    transfer: Transfer
    direct: bool


@dataclass(frozen=True)
class Registry:
    """The registry's services."""

    models: RegisteredModelServiceAsyncStub
    versions: ModelVersionServiceAsyncStub
    aliases: AliasServiceAsyncStub
    webhooks: WebhookServiceAsyncStub

    @classmethod
    def over(cls, registry: grpc.aio.Channel) -> Registry:
        """registry: a patient channel: calls have no deadline of their own, and may arrive twice."""
        return cls(
            models=model_pb2_grpc.RegisteredModelServiceStub(registry),
            versions=version_pb2_grpc.ModelVersionServiceStub(registry),
            aliases=alias_pb2_grpc.AliasServiceStub(registry),
            webhooks=webhook_pb2_grpc.WebhookServiceStub(registry),
        )


@dataclass(frozen=True)
class Points:
    """Where points go."""

    runs: Runs
    writers: RunWriters


@dataclass(frozen=True)
class Backend:
    """Handlers call these; whatever a call raises is answered in MLflow's terms by the app.

    history_page, stream_history: of the MetricService, numbers left as bytes.
    """

    experiments: ExperimentServiceAsyncStub
    runs: RunServiceAsyncStub
    datasets: DatasetServiceAsyncStub
    logged_models: LoggedModelServiceAsyncStub
    history_page: grpc.aio.UnaryUnaryMultiCallable[
        metric_pb2.GetHistoryRequest, metric_pb2.GetHistoryResponseView
    ]
    stream_history: grpc.aio.UnaryStreamMultiCallable[
        metric_pb2.StreamHistoryRequest, metric_pb2.HistoryBlockView
    ]
    points: Points
    stored: Artifacts | None = None
    registered: Registry | None = None

    @property
    def artifacts(self) -> Artifacts:
        if self.stored is None:
            raise Coded("TEMPORARILY_UNAVAILABLE", 503, "this server does not serve artifacts")
        return self.stored

    @property
    def registry(self) -> Registry:
        if self.registered is None:
            raise Unsupported("this server has no model registry")
        return self.registered

    @classmethod
    def over(
        cls,
        tracking: grpc.aio.Channel,
        points: Points,
        stored: Artifacts | None = None,
        registered: Registry | None = None,
    ) -> Backend:
        """tracking: a patient channel: calls have no deadline of their own."""
        return cls(
            experiments=experiment_pb2_grpc.ExperimentServiceStub(tracking),
            runs=run_pb2_grpc.RunServiceStub(tracking),
            datasets=dataset_pb2_grpc.DatasetServiceStub(tracking),
            logged_models=logged_model_pb2_grpc.LoggedModelServiceStub(tracking),
            history_page=tracking.unary_unary(
                f"{_METRICS}/GetHistory",
                metric_pb2.GetHistoryRequest.SerializeToString,
                metric_pb2.GetHistoryResponseView.FromString,
            ),
            stream_history=tracking.unary_stream(
                f"{_METRICS}/StreamHistory",
                metric_pb2.StreamHistoryRequest.SerializeToString,
                metric_pb2.HistoryBlockView.FromString,
            ),
            points=points,
            stored=stored,
            registered=registered,
        )
