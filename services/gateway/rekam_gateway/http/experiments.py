"""experiments/*"""

from __future__ import annotations

from msgspec import Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.objects import KeyValue, pairs, stage, tags_of
from rekam_gateway.http.wire import Text
from rekam_proto.tracking.v1 import experiment_pb2

endpoints = Endpoints()


class Experiment(Struct, omit_defaults=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[KeyValue] = []


class ExperimentAnswer(Struct):
    experiment: Experiment


class CreateExperiment(Struct):
    name: Text
    artifact_location: str = ""
    tags: list[KeyValue] = []


class CreatedExperiment(Struct):
    experiment_id: str


class GetExperiment(Struct):
    experiment_id: Text


@endpoints.post("mlflow/experiments/create")
async def create_experiment(backend: Backend, asked: CreateExperiment) -> CreatedExperiment:
    created = await backend.experiments.CreateExperiment(
        experiment_pb2.CreateExperimentRequest(
            name=asked.name, artifact_location=asked.artifact_location, tags=tags_of(asked.tags)
        )
    )
    return CreatedExperiment(created.experiment_id)


@endpoints.get("mlflow/experiments/get")
async def get_experiment(backend: Backend, asked: GetExperiment) -> ExperimentAnswer:
    found = await backend.experiments.GetExperiment(
        experiment_pb2.GetExperimentRequest(experiment_id=asked.experiment_id)
    )
    return ExperimentAnswer(_experiment(found))


def _experiment(found: experiment_pb2.Experiment) -> Experiment:
    return Experiment(
        experiment_id=found.experiment_id,
        name=found.name,
        artifact_location=found.artifact_location,
        lifecycle_stage=stage(found.lifecycle),
        last_update_time=found.updated_ms,
        creation_time=found.created_ms,
        tags=pairs(found.tags),
    )
