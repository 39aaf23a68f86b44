"""What stands behind the door: the services' stubs, and what the gateway does itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio

from rekam_gateway.artifacts.transfer import Transfer
from rekam_gateway.http.errors import Coded
from rekam_proto.tracking.v1 import (
    dataset_pb2_grpc,
    experiment_pb2_grpc,
    logged_model_pb2_grpc,
    run_pb2_grpc,
)

if TYPE_CHECKING:
    from rekam_proto.artifacts.v1.artifact_pb2_grpc import ArtifactServiceAsyncStub
    from rekam_proto.tracking.v1.dataset_pb2_grpc import DatasetServiceAsyncStub
    from rekam_proto.tracking.v1.experiment_pb2_grpc import ExperimentServiceAsyncStub
    from rekam_proto.tracking.v1.logged_model_pb2_grpc import LoggedModelServiceAsyncStub
    from rekam_proto.tracking.v1.run_pb2_grpc import RunServiceAsyncStub


@dataclass(frozen=True)
class Artifacts:
    """direct: whether clients can reach S3 themselves."""

    files: ArtifactServiceAsyncStub
    transfer: Transfer
    direct: bool


@dataclass(frozen=True)
class Backend:
    """Handlers call these; whatever a call raises is answered in MLflow's terms by the app."""

    experiments: ExperimentServiceAsyncStub
    runs: RunServiceAsyncStub
    datasets: DatasetServiceAsyncStub
    logged_models: LoggedModelServiceAsyncStub

    stored: Artifacts | None = None

    @property
    def artifacts(self) -> Artifacts:
        if self.stored is None:
            raise Coded("TEMPORARILY_UNAVAILABLE", 503, "this server does not serve artifacts")
        return self.stored

    @classmethod
    def over(cls, tracking: grpc.aio.Channel, stored: Artifacts | None = None) -> Backend:
        """tracking: a patient channel: calls have no deadline of their own."""
        return cls(
            experiments=experiment_pb2_grpc.ExperimentServiceStub(tracking),
            runs=run_pb2_grpc.RunServiceStub(tracking),
            datasets=dataset_pb2_grpc.DatasetServiceStub(tracking),
            logged_models=logged_model_pb2_grpc.LoggedModelServiceStub(tracking),
            stored=stored,
        )
