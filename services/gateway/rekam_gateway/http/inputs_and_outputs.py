"""What runs read and make: runs/log-inputs, runs/outputs, runs/log-model, and both in a run's answer."""

from __future__ import annotations

import json
from typing import Annotated, Any

from msgspec import Meta, Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.objects import KeyValue, known_form, pairs, tags_of
from rekam_gateway.http.wire import Int64, Text
from rekam_proto.tracking.v1 import dataset_pb2, run_pb2
from rekam_runtime.errors import Invalid

endpoints = Endpoints()

# What is recorded of a model, beside its flavors.
_RECORDED = ("run_id", "utc_time_created", "artifact_path", "model_uuid")
_MANDATORY = {"artifact_path", "flavors", "utc_time_created", "run_id"}


class Dataset(Struct, omit_defaults=True):
    name: str
    digest: str
    source_type: str | None = None
    source: str | None = None
    schema: str = ""
    profile: str = ""


class DatasetInput(Struct, omit_defaults=True):
    """A dataset that a run read; tag mlflow.data.context says what for."""

    dataset: Dataset
    tags: list[KeyValue] = []


class ModelInput(Struct):
    model_id: Text


class ModelOutput(Struct):
    model_id: Text
    step: Int64 = 0


class RunInputs(Struct, omit_defaults=True):
    """model_inputs are left out in the answers of a search."""

    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[ModelInput] = []


class RunOutputs(Struct, omit_defaults=True):
    model_outputs: list[ModelOutput] = []


# Of most runs.
_NO_INPUTS, _NO_OUTPUTS = RunInputs(), RunOutputs()


class LogInputs(Struct):
    run_id: Text
    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


class LogOutputs(Struct):
    run_id: Text
    models: Annotated[list[ModelOutput], Meta(min_length=1)]


class LogModel(Struct):
    """model_json: the MLmodel file as JSON."""

    run_id: Text
    model_json: Text


@endpoints.post("mlflow/runs/log-inputs")
async def log_inputs(backend: Backend, asked: LogInputs) -> None:
    await backend.runs.LogInputs(
        run_pb2.LogInputsRequest(
            run_id=known_form(asked.run_id),
            datasets=[_dataset_input(each) for each in asked.datasets],
            models=[run_pb2.ModelInput(model_id=each.model_id) for each in asked.models],
        )
    )


@endpoints.post("mlflow/runs/outputs")
async def log_outputs(backend: Backend, asked: LogOutputs) -> None:
    await backend.runs.LogOutputs(
        run_pb2.LogOutputsRequest(
            run_id=known_form(asked.run_id),
            models=[run_pb2.ModelOutput(model_id=each.model_id, step=each.step) for each in asked.models],
        )
    )


@endpoints.post("mlflow/runs/log-model")
async def log_model(backend: Backend, asked: LogModel) -> None:
    """How clients before MLflow 3 say that a run made a model."""
    try:
        model = json.dumps(_recorded(json.loads(asked.model_json)))
    except (ValueError, RecursionError):
        raise Invalid(
            f"Malformed model info. \n {asked.model_json[:1_000]} \n is not a valid JSON."
        ) from None
    await backend.runs.RecordModel(run_pb2.RecordModelRequest(run_id=known_form(asked.run_id), model=model))


def inputs_of(run: run_pb2.Run) -> RunInputs:
    if not run.HasField("inputs"):
        return _NO_INPUTS
    return RunInputs(
        [_read_dataset(each) for each in run.inputs.datasets],
        [ModelInput(each.model_id) for each in run.inputs.models],
    )


def outputs_of(run: run_pb2.Run) -> RunOutputs:
    if not run.HasField("outputs"):
        return _NO_OUTPUTS
    return RunOutputs([ModelOutput(each.model_id, each.step) for each in run.outputs.models])


def _dataset_input(given: DatasetInput) -> dataset_pb2.DatasetInput:
    dataset = given.dataset
    return dataset_pb2.DatasetInput(
        dataset=dataset_pb2.Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        ),
        tags=tags_of(given.tags),
    )


def _read_dataset(found: dataset_pb2.DatasetInput) -> DatasetInput:
    dataset = found.dataset
    return DatasetInput(
        Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        ),
        pairs(found.tags),
    )


def _recorded(model: Any) -> dict[str, Any]:
    """What is kept of an MLmodel file."""
    if not isinstance(model, dict) or not isinstance(model.get("flavors", {}), dict):
        raise ValueError("not an MLmodel file")
    if missing := sorted(_MANDATORY - model.keys()):
        raise Invalid(f"Model json is missing mandatory fields: {missing}")
    flavors = {name: _without_config(flavor) for name, flavor in model["flavors"].items()}
    return {key: model[key] for key in _RECORDED if key in model} | {"flavors": flavors}


def _without_config(flavor: Any) -> Any:
    if not isinstance(flavor, dict):
        return flavor
    return {key: value for key, value in flavor.items() if key != "config"}
