"""Calls about datasets: what runs read."""

from __future__ import annotations

from collections.abc import Sequence

from rekam.calls.session import Session
from rekam.entities import DatasetSummary
from rekam_proto.tracking.v1 import dataset_pb2


class Datasets(Session):
    """Datasets, by experiment. They are logged as inputs of runs."""

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """What runs of 1 to 20 experiments read: at most 1,000, by experiment, name, digest, context."""
        request = dataset_pb2.SearchDatasetsRequest(
            experiment_ids=experiment_ids, consistency=self._consistency
        )
        answer = self._query(self._server.datasets.SearchDatasets, request)
        return [
            DatasetSummary(
                each.experiment_id,
                each.name,
                each.digest,
                each.context if each.HasField("context") else None,
            )
            for each in answer.datasets
        ]
