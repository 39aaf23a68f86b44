"""RegisteredModelService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.registry.v1 import model_pb2, model_pb2_grpc
from rekam_registry import rules
from rekam_registry.events import ModelEvent
from rekam_registry.ledger import Ledger
from rekam_registry.models import command, query
from rekam_registry.reads import Reads
from rekam_registry.requests import Context, cause_of
from rekam_registry.state import ModelState, tags_of
from rekam_runtime.errors import AlreadyExists

SERVICE = "rekam_proto.registry.v1.RegisteredModelService"


class RegisteredModelServicer(model_pb2_grpc.RegisteredModelServiceServicer):
    """Commands are answered from the log, queries from the projection."""

    def __init__(self, ledger: Ledger, reads: Reads) -> None:
        self._ledger = ledger
        self._reads = reads

    async def CreateRegisteredModel(
        self, request: model_pb2.CreateRegisteredModelRequest, context: Context
    ) -> model_pb2.RegisteredModel:
        cause = cause_of(request, context)
        rules.name(request.name)
        rules.description(request.description)
        tags = rules.tags(request.tags)
        protection = rules.protection(request.protection)

        def event(model_id: str) -> model_pb2.ModelCreated:
            return model_pb2.ModelCreated(
                model_id=model_id,
                name=request.name,
                description=request.description,
                tags=tags_of(tags),
                protection=protection,
            )

        try:
            return await self._ledger.create(request.name, event, cause)
        except AlreadyExists as taken:
            by_prompt = await self._ledger.look(request.name, lambda state: rules.is_prompt(state.tags))
            raise command.taken(request.name, rules.is_prompt(tags), by_prompt) from taken

    async def GetRegisteredModel(
        self, request: model_pb2.GetRegisteredModelRequest, context: Context
    ) -> model_pb2.RegisteredModel:
        rules.name(request.name)
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            return await query.get_model(view, request.name)

    async def SearchRegisteredModels(
        self, request: model_pb2.SearchRegisteredModelsRequest, context: Context
    ) -> model_pb2.SearchRegisteredModelsResponse:
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            return await query.search_models(view, request)

    async def RenameRegisteredModel(
        self, request: model_pb2.RenameRegisteredModelRequest, context: Context
    ) -> model_pb2.RegisteredModel:
        cause = cause_of(request, context)
        rules.name(request.name)
        rules.name(request.new_name, "new_name")
        return await self._ledger.rename(
            request.name,
            request.new_name,
            lambda state: command.rename(state, request.new_name, request.by),
            cause,
        )

    async def UpdateRegisteredModel(
        self, request: model_pb2.UpdateRegisteredModelRequest, context: Context
    ) -> model_pb2.RegisteredModel:
        cause = cause_of(request, context)
        rules.name(request.name)
        rules.description(request.description)
        return await self._ledger.change(
            request.name, lambda state: command.update(state, request.description), _model, cause
        )

    async def DeleteRegisteredModel(
        self, request: model_pb2.DeleteRegisteredModelRequest, context: Context
    ) -> model_pb2.DeleteRegisteredModelResponse:
        cause = cause_of(request, context)
        rules.name(request.name)
        await self._ledger.delete(request.name, lambda state: command.delete(state, request.by), cause)
        return model_pb2.DeleteRegisteredModelResponse()

    async def SetRegisteredModelTags(
        self, request: model_pb2.SetRegisteredModelTagsRequest, context: Context
    ) -> model_pb2.RegisteredModel:
        cause = cause_of(request, context)
        rules.name(request.name)
        rules.some(request.tags, "tags")
        tags = rules.tags(request.tags)
        return await self._ledger.change(
            request.name, lambda state: command.set_tags(state, tags), _model, cause
        )

    async def DeleteRegisteredModelTags(
        self, request: model_pb2.DeleteRegisteredModelTagsRequest, context: Context
    ) -> model_pb2.RegisteredModel:
        cause = cause_of(request, context)
        rules.name(request.name)
        rules.some(request.keys, "keys")
        keys = rules.keys(request.keys)
        return await self._ledger.change(
            request.name, lambda state: command.delete_tags(state, keys), _model, cause
        )

    async def ProtectRegisteredModel(
        self, request: model_pb2.ProtectRegisteredModelRequest, context: Context
    ) -> model_pb2.RegisteredModel:
        cause = cause_of(request, context)
        rules.name(request.name)
        protection = rules.protection(request.protection)
        return await self._ledger.change(
            request.name, lambda state: command.protect(state, protection, request.by), _model, cause
        )


def _model(state: ModelState, _: ModelEvent | None) -> model_pb2.RegisteredModel:
    return state.describe()
