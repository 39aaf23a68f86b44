"""DatasetService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.tracking.v1 import dataset_pb2, dataset_pb2_grpc
from rekam_runtime.errors import Invalid
from rekam_tracking import rules
from rekam_tracking.datasets import query
from rekam_tracking.reads import Reads
from rekam_tracking.requests import Context

MAX_EXPERIMENTS = 20


class DatasetServicer(dataset_pb2_grpc.DatasetServiceServicer):
    """Queries are answered from the projection; datasets are logged as inputs of runs."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def SearchDatasets(
        self, request: dataset_pb2.SearchDatasetsRequest, context: Context
    ) -> dataset_pb2.SearchDatasetsResponse:
        given = len(request.experiment_ids)
        if not given:
            raise Invalid(
                "SearchDatasets request must specify at least one experiment_id.", field="experiment_ids"
            )
        if given > MAX_EXPERIMENTS:
            raise Invalid(
                f"SearchDatasets request cannot specify more than {MAX_EXPERIMENTS} experiment_ids. "
                f"Received {given} experiment_ids.",
                field="experiment_ids",
            )
        ids = [
            rules.experiment_id(id, f"experiment_ids[{index}]")
            for index, id in enumerate(request.experiment_ids)
        ]
        async with self._reads.connection(request.consistency, context) as connection:
            return await query.search_datasets(connection, ids)
