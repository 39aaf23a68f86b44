"""ExperimentService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.tracking.v1 import experiment_pb2, experiment_pb2_grpc
from rekam_runtime.errors import Invalid, NotFound
from rekam_tracking import rules
from rekam_tracking.experiments import query
from rekam_tracking.experiments.catalog import Experiments
from rekam_tracking.reads import Reads
from rekam_tracking.requests import Context, cause_of, cause_with_origin


class ExperimentServicer(experiment_pb2_grpc.ExperimentServiceServicer):
    """Commands are answered from the log, queries from the projection."""

    def __init__(self, experiments: Experiments, reads: Reads) -> None:
        self._experiments = experiments
        self._reads = reads

    async def CreateExperiment(
        self, request: experiment_pb2.CreateExperimentRequest, context: Context
    ) -> experiment_pb2.Experiment:
        tags = _check_creation(request)
        cause = cause_with_origin(request, context)
        return await self._experiments.create(request.name, request.artifact_location, tags, cause)

    async def EnsureExperiment(
        self, request: experiment_pb2.CreateExperimentRequest, context: Context
    ) -> experiment_pb2.Experiment:
        tags = _check_creation(request)
        cause = cause_of(request, context)
        entry = await self._experiments.ensure(request.name, cause, request.artifact_location, tags)
        return await self._experiments.describe(entry)

    async def GetExperiment(
        self, request: experiment_pb2.GetExperimentRequest, context: Context
    ) -> experiment_pb2.Experiment:
        match request.WhichOneof("by"):
            case "experiment_id":
                id = rules.experiment_id(request.experiment_id)
                async with self._reads.connection(request.consistency, context) as connection:
                    found = await query.get_experiment(connection, id)
                missing = NotFound(f"No Experiment with id={id} exists", field="experiment_id")
            case "name":
                rules.experiment_name(request.name)
                async with self._reads.connection(request.consistency, context) as connection:
                    found = await query.get_experiment_by_name(connection, request.name)
                missing = NotFound(f"Could not find experiment with name '{request.name}'", field="name")
            case _:
                raise Invalid("an experiment's id or name is required", field="by")
        if found is None:
            raise missing
        return found

    async def RenameExperiment(
        self, request: experiment_pb2.RenameExperimentRequest, context: Context
    ) -> experiment_pb2.Experiment:
        id = rules.experiment_id(request.experiment_id)
        rules.experiment_name(request.name)
        return await self._experiments.rename(id, request.name, cause_of(request, context))

    async def DeleteExperiment(
        self, request: experiment_pb2.DeleteExperimentRequest, context: Context
    ) -> experiment_pb2.Experiment:
        id = rules.experiment_id(request.experiment_id)
        return await self._experiments.delete(id, cause_with_origin(request, context))

    async def RestoreExperiment(
        self, request: experiment_pb2.RestoreExperimentRequest, context: Context
    ) -> experiment_pb2.Experiment:
        id = rules.experiment_id(request.experiment_id)
        return await self._experiments.restore(id, cause_with_origin(request, context))

    async def SetExperimentTags(
        self, request: experiment_pb2.SetExperimentTagsRequest, context: Context
    ) -> experiment_pb2.SetExperimentTagsResponse:
        id = rules.experiment_id(request.experiment_id)
        rules.size(len(request.tags), request.ByteSize(), "tags")
        tags = rules.experiment_tags(request.tags)
        await self._experiments.set_tags(id, tags, cause_of(request, context))
        return experiment_pb2.SetExperimentTagsResponse()

    async def DeleteExperimentTags(
        self, request: experiment_pb2.DeleteExperimentTagsRequest, context: Context
    ) -> experiment_pb2.DeleteExperimentTagsResponse:
        id = rules.experiment_id(request.experiment_id)
        rules.size(len(request.keys), request.ByteSize(), "keys")
        rules.keys(request.keys)
        await self._experiments.delete_tags(id, request.keys, cause_of(request, context))
        return experiment_pb2.DeleteExperimentTagsResponse()

    async def SearchExperiments(
        self, request: experiment_pb2.SearchExperimentsRequest, context: Context
    ) -> experiment_pb2.SearchExperimentsResponse:
        async with self._reads.connection(request.consistency, context) as connection:
            return await query.search_experiments(connection, request)


def _check_creation(request: experiment_pb2.CreateExperimentRequest) -> dict[str, str]:
    rules.experiment_name(request.name)
    rules.artifact_location(request.artifact_location)
    rules.size(len(request.tags), request.ByteSize(), "tags")
    return rules.experiment_tags(request.tags)
