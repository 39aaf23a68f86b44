"""experiments/*"""

from __future__ import annotations

from msgspec import Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.errors import check_max_results
from rekam_gateway.http.objects import KeyValue, Lifecycle, ViewType, pairs, stage, tags_of, view_of
from rekam_gateway.http.wire import Int64, Text
from rekam_proto.tracking.v1 import experiment_pb2, read_pb2
from rekam_runtime.errors import FailedPrecondition

MOST_RESULTS = 50_000

endpoints = Endpoints()


class Experiment(Struct, omit_defaults=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: Lifecycle
    last_update_time: Int64
    creation_time: Int64
    tags: list[KeyValue] = []


class ExperimentAnswer(Struct):
    experiment: Experiment


class CreateExperiment(Struct):
    name: Text
    artifact_location: str = ""
    tags: list[KeyValue] = []


class CreatedExperiment(Struct):
    experiment_id: str


class ExperimentId(Struct):
    experiment_id: Text


class ExperimentName(Struct):
    experiment_name: Text


class RenameExperiment(Struct):
    experiment_id: Text
    new_name: Text


class SearchExperiments(Struct):
    max_results: Int64 = 0
    page_token: str = ""
    filter: str = ""
    order_by: list[str] = []
    view_type: ViewType = ViewType.ACTIVE_ONLY


class FoundExperiments(Struct, omit_defaults=True):
    experiments: list[Experiment] = []
    next_page_token: str = ""


class ExperimentTag(Struct):
    experiment_id: Text
    key: Text
    value: str = ""


class ExperimentTagKey(Struct):
    experiment_id: Text
    key: Text


@endpoints.post("mlflow/experiments/create")
async def create(backend: Backend, asked: CreateExperiment) -> CreatedExperiment:
    created = await backend.experiments.CreateExperiment(
        experiment_pb2.CreateExperimentRequest(
            name=asked.name, artifact_location=asked.artifact_location, tags=tags_of(asked.tags)
        )
    )
    return CreatedExperiment(created.experiment_id)


@endpoints.get("mlflow/experiments/get")
async def get(backend: Backend, asked: ExperimentId) -> ExperimentAnswer:
    request = experiment_pb2.GetExperimentRequest(experiment_id=asked.experiment_id)
    return ExperimentAnswer(_experiment(await backend.experiments.GetExperiment(request)))


@endpoints.get("mlflow/experiments/get-by-name")
async def get_by_name(backend: Backend, asked: ExperimentName) -> ExperimentAnswer:
    request = experiment_pb2.GetExperimentRequest(name=asked.experiment_name)
    return ExperimentAnswer(_experiment(await backend.experiments.GetExperiment(request)))


@endpoints.serve("mlflow/experiments/search", ["GET", "POST"])
async def search(backend: Backend, asked: SearchExperiments) -> FoundExperiments:
    check_max_results(asked.max_results, MOST_RESULTS)
    found = await backend.experiments.SearchExperiments(
        experiment_pb2.SearchExperimentsRequest(
            filter=asked.filter,
            order_by=asked.order_by,
            view=view_of(asked.view_type),
            page_size=asked.max_results,
            page_token=asked.page_token,
        )
    )
    return FoundExperiments([_experiment(each) for each in found.experiments], found.next_page_token)


@endpoints.post("mlflow/experiments/delete")
async def delete(backend: Backend, asked: ExperimentId) -> None:
    request = experiment_pb2.DeleteExperimentRequest(experiment_id=asked.experiment_id)
    await backend.experiments.DeleteExperiment(request)


@endpoints.post("mlflow/experiments/restore")
async def restore(backend: Backend, asked: ExperimentId) -> None:
    request = experiment_pb2.RestoreExperimentRequest(experiment_id=asked.experiment_id)
    await backend.experiments.RestoreExperiment(request)


@endpoints.post(
    "mlflow/experiments/update", renamed={"name": "new_name"}, codes={FailedPrecondition: "INVALID_STATE"}
)
async def rename(backend: Backend, asked: RenameExperiment) -> None:
    request = experiment_pb2.RenameExperimentRequest(experiment_id=asked.experiment_id, name=asked.new_name)
    await backend.experiments.RenameExperiment(request)


@endpoints.post("mlflow/experiments/set-experiment-tag", renamed={"tags[0].": ""})
async def set_tag(backend: Backend, asked: ExperimentTag) -> None:
    tag = read_pb2.Tag(key=asked.key, value=asked.value)
    request = experiment_pb2.SetExperimentTagsRequest(experiment_id=asked.experiment_id, tags=[tag])
    await backend.experiments.SetExperimentTags(request)


@endpoints.post("mlflow/experiments/delete-experiment-tag", renamed={"keys[0]": "key"})
async def delete_tag(backend: Backend, asked: ExperimentTagKey) -> None:
    request = experiment_pb2.DeleteExperimentTagsRequest(experiment_id=asked.experiment_id, keys=[asked.key])
    await backend.experiments.DeleteExperimentTags(request)


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
