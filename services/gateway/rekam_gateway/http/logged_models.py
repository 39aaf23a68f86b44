"""logged-models/*: what runs make."""

from __future__ import annotations

import enum

from msgspec import Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.objects import KeyValue, pairs, params_of, tags_of
from rekam_gateway.http.wire import Int32, Int64, Number, SomeTexts, Text, number
from rekam_proto.tracking.v1 import logged_model_pb2
from rekam_runtime.errors import Invalid

endpoints = Endpoints()


class Status(enum.Enum):
    LOGGED_MODEL_PENDING = "LOGGED_MODEL_PENDING"
    LOGGED_MODEL_READY = "LOGGED_MODEL_READY"
    LOGGED_MODEL_UPLOAD_FAILED = "LOGGED_MODEL_UPLOAD_FAILED"


_STATUSES = dict(
    zip(
        Status,
        (
            logged_model_pb2.LOGGED_MODEL_STATUS_PENDING,
            logged_model_pb2.LOGGED_MODEL_STATUS_READY,
            logged_model_pb2.LOGGED_MODEL_STATUS_UPLOAD_FAILED,
        ),
        strict=True,
    )
)
_STATUS_OF = {number: status for status, number in _STATUSES.items()}


class ModelInfo(Struct, omit_defaults=True):
    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: Int64
    last_updated_timestamp_ms: Int64
    artifact_uri: str
    status: Status
    model_type: str = ""
    source_run_id: str = ""
    tags: list[KeyValue] = []


class ModelMetric(Struct, omit_defaults=True):
    """A value that was measured of a model."""

    key: str
    value: Number
    timestamp: Int64
    step: Int64
    model_id: str
    dataset_name: str = ""
    dataset_digest: str = ""
    run_id: str = ""


class ModelData(Struct, omit_defaults=True):
    """metrics: every logged value."""

    params: list[KeyValue] = []
    metrics: list[ModelMetric] = []


class LoggedModel(Struct):
    info: ModelInfo
    data: ModelData


class ModelAnswer(Struct):
    model: LoggedModel


class CreateModel(Struct):
    experiment_id: Text
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class GetModel(Struct):
    model_id: Text
    allow_deleted: bool = False


class ModelId(Struct):
    model_id: Text


class FinalizeModel(Struct):
    model_id: Text
    status: Status


class ModelTags(Struct):
    model_id: Text
    tags: list[KeyValue] = []


class ModelTagKey(Struct):
    model_id: Text
    tag_key: Text


class ModelParams(Struct):
    model_id: Text
    params: list[KeyValue] = []


class OnDataset(Struct):
    dataset_name: str = ""
    dataset_digest: str = ""


class Order(Struct):
    field_name: Text
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class SearchModels(Struct):
    experiment_ids: SomeTexts
    filter: str = ""
    datasets: list[OnDataset] = []
    max_results: Int32 = 0
    order_by: list[Order] = []
    page_token: str = ""


class FoundModels(Struct, omit_defaults=True):
    models: list[LoggedModel] = []
    next_page_token: str = ""


@endpoints.post("mlflow/logged-models")
async def create(backend: Backend, asked: CreateModel) -> ModelAnswer:
    created = await backend.logged_models.CreateLoggedModel(
        logged_model_pb2.CreateLoggedModelRequest(
            experiment_id=asked.experiment_id,
            name=asked.name,
            model_type=asked.model_type,
            source_run_id=asked.source_run_id,
            tags=tags_of(asked.tags),
            params=params_of(asked.params),
        )
    )
    return ModelAnswer(_model(created))


@endpoints.get("mlflow/logged-models/{model_id}")
async def get(backend: Backend, asked: GetModel) -> ModelAnswer:
    return await _answer(backend, asked.model_id, asked.allow_deleted)


@endpoints.patch("mlflow/logged-models/{model_id}")
async def finalize(backend: Backend, asked: FinalizeModel) -> ModelAnswer:
    await backend.logged_models.FinalizeLoggedModel(
        logged_model_pb2.FinalizeLoggedModelRequest(model_id=asked.model_id, status=_STATUSES[asked.status])
    )
    return await _answer(backend, asked.model_id)


@endpoints.delete("mlflow/logged-models/{model_id}")
async def delete(backend: Backend, asked: ModelId) -> None:
    request = logged_model_pb2.DeleteLoggedModelRequest(model_id=asked.model_id)
    await backend.logged_models.DeleteLoggedModel(request)


@endpoints.patch("mlflow/logged-models/{model_id}/tags")
async def set_tags(backend: Backend, asked: ModelTags) -> None:
    request = logged_model_pb2.SetLoggedModelTagsRequest(model_id=asked.model_id, tags=tags_of(asked.tags))
    await backend.logged_models.SetLoggedModelTags(request)


# A key may have slashes.
@endpoints.delete("mlflow/logged-models/{model_id}/tags/{tag_key:path}", renamed={"keys[0]": "tag_key"})
async def delete_tag(backend: Backend, asked: ModelTagKey) -> None:
    request = logged_model_pb2.DeleteLoggedModelTagsRequest(model_id=asked.model_id, keys=[asked.tag_key])
    await backend.logged_models.DeleteLoggedModelTags(request)


@endpoints.post("mlflow/logged-models/{model_id}/params")
async def log_params(backend: Backend, asked: ModelParams) -> None:
    request = logged_model_pb2.LogLoggedModelParamsRequest(
        model_id=asked.model_id, params=params_of(asked.params)
    )
    await backend.logged_models.LogLoggedModelParams(request)


@endpoints.post("mlflow/logged-models/search", renamed={"page_size": "max_results"})
async def search(backend: Backend, asked: SearchModels) -> FoundModels:
    if any(not dataset.dataset_name for dataset in asked.datasets):
        raise Invalid("`dataset_name` in the `datasets` clause must be specified.")
    found = await backend.logged_models.SearchLoggedModels(
        logged_model_pb2.SearchLoggedModelsRequest(
            experiment_ids=asked.experiment_ids,
            filter=asked.filter,
            datasets=[_dataset(each) for each in asked.datasets],
            order_by=[_order(each) for each in asked.order_by],
            page_size=asked.max_results,
            page_token=asked.page_token,
        )
    )
    return FoundModels([_model(each) for each in found.models], found.next_page_token)


async def _answer(backend: Backend, model_id: str, allow_deleted: bool = False) -> ModelAnswer:
    request = logged_model_pb2.GetLoggedModelRequest(model_id=model_id, allow_deleted=allow_deleted)
    return ModelAnswer(_model(await backend.logged_models.GetLoggedModel(request)))


def _dataset(on: OnDataset | Order) -> logged_model_pb2.DatasetReference:
    return logged_model_pb2.DatasetReference(name=on.dataset_name, digest=on.dataset_digest)


def _order(by: Order) -> logged_model_pb2.LoggedModelOrder:
    on_dataset = by.dataset_name or by.dataset_digest
    return logged_model_pb2.LoggedModelOrder(
        field=by.field_name, descending=not by.ascending, dataset=_dataset(by) if on_dataset else None
    )


def _model(found: logged_model_pb2.LoggedModel) -> LoggedModel:
    return LoggedModel(
        ModelInfo(
            model_id=found.model_id,
            experiment_id=found.experiment_id,
            name=found.name,
            creation_timestamp_ms=found.created_ms,
            last_updated_timestamp_ms=found.updated_ms,
            artifact_uri=found.artifact_uri,
            status=_STATUS_OF[found.status],
            model_type=found.model_type,
            source_run_id=found.source_run_id,
            tags=pairs(found.tags),
        ),
        ModelData(pairs(found.params), [_metric(found.model_id, each) for each in found.metrics]),
    )


def _metric(model_id: str, found: logged_model_pb2.LoggedModelMetric) -> ModelMetric:
    return ModelMetric(
        key=found.key,
        value=number(found.value),
        timestamp=found.time_us // 1_000,
        step=found.step,
        model_id=model_id,
        dataset_name=found.dataset_name,
        dataset_digest=found.dataset_digest,
        run_id=found.run_id,
    )
