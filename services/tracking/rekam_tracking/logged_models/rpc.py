"""LoggedModelService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.tracking.v1 import logged_model_pb2, logged_model_pb2_grpc, read_pb2
from rekam_runtime.errors import Invalid
from rekam_tracking import rules
from rekam_tracking.logged_models import command, query
from rekam_tracking.logged_models.command import LoggedModelState
from rekam_tracking.logged_models.ledger import LoggedModels
from rekam_tracking.reads import Reads
from rekam_tracking.requests import Context, cause_of, cause_with_origin


class LoggedModelServicer(logged_model_pb2_grpc.LoggedModelServiceServicer):
    """Commands are answered from the log, queries from the projection."""

    def __init__(self, models: LoggedModels, reads: Reads) -> None:
        self._models = models
        self._reads = reads

    async def CreateLoggedModel(
        self, request: logged_model_pb2.CreateLoggedModelRequest, context: Context
    ) -> logged_model_pb2.LoggedModel:
        if request.model_id:
            rules.model_id(request.model_id)
        rules.model_name(request.name)
        rules.text(request.model_type, rules.MAX_MODEL_NAME, "model_type", "a model's type")
        if request.source_run_id:
            rules.run_id(request.source_run_id, "source_run_id")
        rules.size(len(request.tags), request.ByteSize(), "tags")
        rules.size(len(request.params), request.ByteSize(), "params")
        state = await self._models.create(
            request.model_id,
            experiment_id=rules.experiment_id(request.experiment_id),
            name=request.name,
            model_type=request.model_type,
            source_run_id=request.source_run_id,
            tags=rules.model_tags(request.tags),
            params=rules.model_params(request.params),
            cause=cause_with_origin(request, context),
        )
        return _model(state)

    async def GetLoggedModel(
        self, request: logged_model_pb2.GetLoggedModelRequest, context: Context
    ) -> logged_model_pb2.LoggedModel:
        _require_form(request.model_id)
        async with self._reads.connection(request.consistency, context) as connection:
            model = await query.get_logged_model(connection, request.model_id)
        if model is None or (model.lifecycle == read_pb2.LIFECYCLE_DELETED and not request.allow_deleted):
            raise command.not_found(request.model_id)
        return model

    async def SearchLoggedModels(
        self, request: logged_model_pb2.SearchLoggedModelsRequest, context: Context
    ) -> logged_model_pb2.SearchLoggedModelsResponse:
        async with self._reads.connection(request.consistency, context) as connection:
            return await query.search_logged_models(connection, request)

    async def FinalizeLoggedModel(
        self, request: logged_model_pb2.FinalizeLoggedModelRequest, context: Context
    ) -> logged_model_pb2.LoggedModel:
        _require_form(request.model_id)
        rules.model_status(request.status)
        cause = cause_with_origin(request, context)
        return _model(await self._models.finalize(request.model_id, request.status, cause))

    async def SetLoggedModelTags(
        self, request: logged_model_pb2.SetLoggedModelTagsRequest, context: Context
    ) -> logged_model_pb2.SetLoggedModelTagsResponse:
        _require_form(request.model_id)
        rules.size(len(request.tags), request.ByteSize(), "tags")
        tags = rules.model_tags(request.tags)
        await self._models.set_tags(request.model_id, tags, cause_with_origin(request, context))
        return logged_model_pb2.SetLoggedModelTagsResponse()

    async def RecordModelVersion(
        self, request: logged_model_pb2.RecordModelVersionRequest, context: Context
    ) -> logged_model_pb2.RecordModelVersionResponse:
        _require_form(request.model_id)
        rules.some_text(request.name, rules.MAX_MODEL_NAME, "name", "a registered model's name")
        if request.version < 1:
            raise Invalid(f"a version is a number from 1, got {request.version}", field="version")
        cause = cause_with_origin(request, context)
        await self._models.record_version(request.model_id, request.name, request.version, cause)
        return logged_model_pb2.RecordModelVersionResponse()

    async def DeleteLoggedModelTags(
        self, request: logged_model_pb2.DeleteLoggedModelTagsRequest, context: Context
    ) -> logged_model_pb2.DeleteLoggedModelTagsResponse:
        _require_form(request.model_id)
        rules.size(len(request.keys), request.ByteSize(), "keys")
        rules.keys(request.keys)
        await self._models.delete_tags(request.model_id, request.keys, cause_with_origin(request, context))
        return logged_model_pb2.DeleteLoggedModelTagsResponse()

    async def LogLoggedModelParams(
        self, request: logged_model_pb2.LogLoggedModelParamsRequest, context: Context
    ) -> logged_model_pb2.LogLoggedModelParamsResponse:
        _require_form(request.model_id)
        rules.size(len(request.params), request.ByteSize(), "params")
        params = rules.model_params(request.params)
        await self._models.log_params(request.model_id, params, cause_with_origin(request, context))
        return logged_model_pb2.LogLoggedModelParamsResponse()

    async def LogLoggedModelMetrics(
        self, request: logged_model_pb2.LogLoggedModelMetricsRequest, context: Context
    ) -> logged_model_pb2.LogLoggedModelMetricsResponse:
        _require_form(request.model_id)
        rules.size(len(request.metrics), request.ByteSize(), "metrics")
        rules.model_metrics(request.metrics)
        await self._models.log_metrics(request.model_id, request.metrics, cause_with_origin(request, context))
        return logged_model_pb2.LogLoggedModelMetricsResponse()

    async def DeleteLoggedModel(
        self, request: logged_model_pb2.DeleteLoggedModelRequest, context: Context
    ) -> logged_model_pb2.DeleteLoggedModelResponse:
        _require_form(request.model_id)
        await self._models.delete(request.model_id, cause_of(request, context))
        return logged_model_pb2.DeleteLoggedModelResponse()


def _require_form(model_id: str) -> None:
    """No model has an id of another form."""
    if not rules.is_model_id(model_id):
        raise command.not_found(model_id)


def _model(state: LoggedModelState) -> logged_model_pb2.LoggedModel:
    """The model without metrics."""
    return logged_model_pb2.LoggedModel(
        model_id=state.model_id,
        experiment_id=state.experiment_id,
        name=state.name,
        created_ms=state.created_ms,
        updated_ms=state.updated_ms,
        artifact_uri=state.artifact_uri,
        status=state.status,
        model_type=state.model_type,
        source_run_id=state.source_run_id,
        lifecycle=state.lifecycle,
        params=[read_pb2.Param(key=key, value=value) for key, value in sorted(state.params.items())],
        tags=[read_pb2.Tag(key=key, value=value) for key, value in sorted(state.tags.items())],
    )
