"""RunService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.tracking.v1 import read_pb2, run_pb2, run_pb2_grpc
from rekam_runtime.errors import Invalid, NotFound
from rekam_tracking import rules
from rekam_tracking.reads import Reads
from rekam_tracking.requests import Context, cause_of, cause_with_origin
from rekam_tracking.runs import query
from rekam_tracking.runs.command import RunState
from rekam_tracking.runs.ledger import Runs
from rekam_tracking.standings import Standing


class RunServicer(run_pb2_grpc.RunServiceServicer):
    """Commands and GetRunState are answered from the log, queries from the projection."""

    def __init__(self, runs: Runs, reads: Reads) -> None:
        self._runs = runs
        self._reads = reads

    async def CreateRun(self, request: run_pb2.CreateRunRequest, context: Context) -> run_pb2.Run:
        if request.run_id:
            rules.run_id(request.run_id)
        experiment_id = experiment_name = ""
        match request.WhichOneof("experiment"):
            case "experiment_id":
                experiment_id = rules.experiment_id(request.experiment_id)
            case "experiment_name":
                experiment_name = request.experiment_name
                rules.experiment_name(experiment_name, "experiment_name")
            case _:
                raise Invalid("an experiment's id or name is required", field="experiment")
        rules.run_name(request.name)
        rules.user(request.user)
        rules.time_ms(request.start_ms, "start_ms")
        rules.size(len(request.tags), request.ByteSize(), "tags")
        rules.size(len(request.params), request.ByteSize(), "params")
        state, experiment = await self._runs.create(
            request.run_id,
            experiment_id=experiment_id,
            experiment_name=experiment_name,
            name=request.name,
            user=request.user,
            start_ms=request.start_ms,
            tags=rules.run_tags(request.tags),
            params=rules.params(request.params),
            cause=cause_with_origin(request, context),
        )
        return _run(state, experiment)

    async def GetRun(self, request: run_pb2.GetRunRequest, context: Context) -> run_pb2.Run:
        rules.run_id(request.run_id)
        points = self._reads.points_of([request.run_id])
        async with self._reads.connection(request.consistency, context, points) as connection:
            run = await query.get_run(connection, request.run_id)
        if run is None:
            raise NotFound(f"Run with id={request.run_id} not found", field="run_id")
        return run

    async def UpdateRun(
        self, request: run_pb2.UpdateRunRequest, context: Context
    ) -> run_pb2.UpdateRunResponse:
        rules.run_id(request.run_id)
        if request.HasField("status"):
            rules.status(request.status)
        rules.time_ms(request.end_ms, "end_ms")
        rules.run_name(request.name)
        state, experiment = await self._runs.update(
            request.run_id,
            status=request.status if request.HasField("status") else None,
            end_ms=request.end_ms if request.HasField("end_ms") else None,
            name=request.name or None,
            cause=cause_with_origin(request, context),
        )
        return run_pb2.UpdateRunResponse(run=_run(state, experiment))

    async def DeleteRun(
        self, request: run_pb2.DeleteRunRequest, context: Context
    ) -> run_pb2.DeleteRunResponse:
        rules.run_id(request.run_id)
        await self._runs.delete(request.run_id, cause_of(request, context))
        return run_pb2.DeleteRunResponse()

    async def RestoreRun(
        self, request: run_pb2.RestoreRunRequest, context: Context
    ) -> run_pb2.RestoreRunResponse:
        rules.run_id(request.run_id)
        await self._runs.restore(request.run_id, cause_of(request, context))
        return run_pb2.RestoreRunResponse()

    async def LogParams(
        self, request: run_pb2.LogParamsRequest, context: Context
    ) -> run_pb2.LogParamsResponse:
        rules.run_id(request.run_id)
        rules.size(len(request.params), request.ByteSize(), "params")
        params = rules.params(request.params)
        await self._runs.log_params(request.run_id, params, cause_with_origin(request, context))
        return run_pb2.LogParamsResponse()

    async def SetTags(self, request: run_pb2.SetTagsRequest, context: Context) -> run_pb2.SetTagsResponse:
        rules.run_id(request.run_id)
        rules.size(len(request.tags), request.ByteSize(), "tags")
        tags = rules.run_tags(request.tags)
        if tags.get(rules.RUN_NAME_TAG) == "":
            raise Invalid(f"{rules.RUN_NAME_TAG} names the run and must not be empty", field="tags")
        await self._runs.set_tags(request.run_id, tags, cause_with_origin(request, context))
        return run_pb2.SetTagsResponse()

    async def DeleteTags(
        self, request: run_pb2.DeleteTagsRequest, context: Context
    ) -> run_pb2.DeleteTagsResponse:
        rules.run_id(request.run_id)
        rules.size(len(request.keys), request.ByteSize(), "keys")
        rules.keys(request.keys)
        await self._runs.delete_tags(request.run_id, request.keys, cause_with_origin(request, context))
        return run_pb2.DeleteTagsResponse()

    async def LogInputs(
        self, request: run_pb2.LogInputsRequest, context: Context
    ) -> run_pb2.LogInputsResponse:
        rules.run_id(request.run_id)
        rules.size(len(request.datasets), request.ByteSize(), "datasets", rules.MAX_INPUTS_BYTES)
        rules.size(len(request.models), request.ByteSize(), "models", rules.MAX_INPUTS_BYTES)
        rules.dataset_inputs(request.datasets)
        rules.model_references(model.model_id for model in request.models)
        await self._runs.log_inputs(
            request.run_id, request.datasets, request.models, cause_with_origin(request, context)
        )
        return run_pb2.LogInputsResponse()

    async def LogOutputs(
        self, request: run_pb2.LogOutputsRequest, context: Context
    ) -> run_pb2.LogOutputsResponse:
        rules.run_id(request.run_id)
        rules.size(len(request.models), request.ByteSize(), "models")
        rules.model_references(model.model_id for model in request.models)
        await self._runs.log_outputs(request.run_id, request.models, cause_with_origin(request, context))
        return run_pb2.LogOutputsResponse()

    async def RecordModel(
        self, request: run_pb2.RecordModelRequest, context: Context
    ) -> run_pb2.RecordModelResponse:
        rules.run_id(request.run_id)
        model = rules.json_object(request.model, "model")
        await self._runs.record_model(request.run_id, model, cause_with_origin(request, context))
        return run_pb2.RecordModelResponse()

    async def SearchRuns(
        self, request: run_pb2.SearchRunsRequest, context: Context
    ) -> run_pb2.SearchRunsResponse:
        points = self._reads.all_points()
        async with self._reads.connection(request.consistency, context, points) as connection:
            return await query.search_runs(connection, request)

    async def GetRunState(self, request: run_pb2.GetRunStateRequest, context: Context) -> run_pb2.RunState:
        rules.run_id(request.run_id)
        state, experiment = await self._runs.state(request.run_id)
        return run_pb2.RunState(
            run_id=state.run_id,
            experiment_id=state.experiment_id,
            lifecycle=state.lifecycle_in(experiment),
            status=state.status,
            artifact_uri=state.artifact_uri,
        )


def _run(state: RunState, experiment: Standing) -> run_pb2.Run:
    """The run as its events say, without metrics, inputs and outputs."""
    return run_pb2.Run(
        run_id=state.run_id,
        experiment_id=state.experiment_id,
        name=state.name,
        user=state.user,
        status=state.status,
        start_ms=state.start_ms,
        end_ms=state.end_ms,
        lifecycle=state.lifecycle_in(experiment),
        artifact_uri=state.artifact_uri,
        params=[read_pb2.Param(key=key, value=value) for key, value in sorted(state.params.items())],
        tags=[read_pb2.Tag(key=key, value=value) for key, value in sorted(state.tags.items())],
    )
