"""Datasets: what runs read, found by experiment.

MLflow serves the search to its own pages only; here it is served to programs too.
"""

from __future__ import annotations

from msgspec import Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_proto.tracking.v1 import dataset_pb2

endpoints = Endpoints()


class SearchDatasets(Struct):
    experiment_ids: list[str] = []


class DatasetSummary(Struct, omit_defaults=True):
    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class FoundDatasets(Struct, omit_defaults=True):
    dataset_summaries: list[DatasetSummary] = []


@endpoints.post("mlflow/experiments/search-datasets")
async def search(backend: Backend, asked: SearchDatasets) -> FoundDatasets:
    request = dataset_pb2.SearchDatasetsRequest(experiment_ids=asked.experiment_ids)
    found = await backend.datasets.SearchDatasets(request)
    return FoundDatasets([_summary(each) for each in found.datasets])


def _summary(found: dataset_pb2.DatasetSummary) -> DatasetSummary:
    context = found.context if found.HasField("context") else None
    return DatasetSummary(found.experiment_id, found.name, found.digest, context)
