"""The SDK's entities as MLflow's, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from mlflow import entities as of_mlflow

from rekam import entities
from rekam.data import Dataset, DatasetInput
from rekam_mlflow.addresses import to_client

# A status that MLflow does not know.
_STATUSES = {entities.RunStatus.CRASHED: of_mlflow.RunStatus.to_string(of_mlflow.RunStatus.FAILED)}


def values(pairs: Iterable[Any] | None) -> dict[str, str]:
    """Tags or params by key; the last of a key wins."""
    return {pair.key: pair.value for pair in pairs or ()}


def experiment(found: entities.Experiment, store_uri: str) -> of_mlflow.Experiment:
    return of_mlflow.Experiment(
        found.experiment_id,
        found.name,
        to_client(found.artifact_location, store_uri),
        found.lifecycle_stage,
        [of_mlflow.ExperimentTag(key, value) for key, value in found.tags.items()],
        found.creation_time,
        found.last_update_time,
    )


def run_info(found: entities.RunInfo, store_uri: str) -> of_mlflow.RunInfo:
    return of_mlflow.RunInfo(
        run_id=found.run_id,
        experiment_id=found.experiment_id,
        user_id=found.user_id,
        status=_STATUSES.get(found.status, found.status),
        start_time=found.start_time,
        end_time=found.end_time,
        lifecycle_stage=found.lifecycle_stage,
        artifact_uri=to_client(found.artifact_uri, store_uri),
        run_name=found.run_name,
    )


def run(found: entities.Run, store_uri: str) -> of_mlflow.Run:
    return of_mlflow.Run(
        run_info(found.info, store_uri),
        of_mlflow.RunData(
            [metric(each) for each in found.data.latest.values()],
            [of_mlflow.Param(key, value) for key, value in found.data.params.items()],
            [of_mlflow.RunTag(key, value) for key, value in found.data.tags.items()],
        ),
        of_mlflow.RunInputs(
            [_dataset_input(each) for each in found.inputs.dataset_inputs],
            [of_mlflow.LoggedModelInput(each) for each in found.inputs.model_inputs],
        ),
        of_mlflow.RunOutputs(
            [of_mlflow.LoggedModelOutput(each.model_id, each.step) for each in found.outputs.model_outputs]
        ),
    )


def metric(found: entities.Metric) -> of_mlflow.Metric:
    return of_mlflow.Metric(found.key, found.value, found.timestamp, found.step)


def history(found: Sequence[entities.Metric]) -> list[of_mlflow.Metric]:
    """Points in order. To MLflow they are a set: equal ones are one."""
    if not found:
        return []
    distinct = [later for earlier, later in pairwise(found) if _place(earlier) != _place(later)]
    return [metric(each) for each in (found[0], *distinct)]


def _place(point: entities.Metric) -> tuple[int, int, str]:
    # As text a NaN is equal to itself.
    return point.timestamp, point.step, repr(point.value)


def logged_model(found: entities.LoggedModel, store_uri: str) -> of_mlflow.LoggedModel:
    return of_mlflow.LoggedModel(
        experiment_id=found.experiment_id,
        model_id=found.model_id,
        name=found.name,
        artifact_location=to_client(found.artifact_location, store_uri),
        creation_timestamp=found.creation_timestamp,
        last_updated_timestamp=found.last_updated_timestamp,
        model_type=found.model_type,
        source_run_id=found.source_run_id,
        status=of_mlflow.LoggedModelStatus(found.status),
        tags=found.tags,
        params=found.params,
        metrics=[
            of_mlflow.Metric(
                each.key,
                each.value,
                each.timestamp,
                each.step,
                model_id=found.model_id,
                dataset_name=each.dataset_name,
                dataset_digest=each.dataset_digest,
                run_id=each.run_id,
            )
            for each in found.metrics
        ],
    )


def dataset_input_of(given: of_mlflow.DatasetInput) -> DatasetInput:
    dataset = given.dataset
    return DatasetInput(
        Dataset(
            dataset.name,
            dataset.digest,
            dataset.source_type or "",
            dataset.source or "",
            dataset.schema or "",
            dataset.profile or "",
        ),
        values(given.tags),
    )


def _dataset_input(found: DatasetInput) -> of_mlflow.DatasetInput:
    dataset = found.dataset
    return of_mlflow.DatasetInput(
        of_mlflow.Dataset(
            dataset.name,
            dataset.digest,
            dataset.source_type,
            dataset.source,
            dataset.schema,
            dataset.profile,
        ),
        [of_mlflow.InputTag(key, value) for key, value in found.tags.items()],
    )
