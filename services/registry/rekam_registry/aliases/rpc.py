"""AliasService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.registry.v1 import alias_pb2, alias_pb2_grpc, version_pb2
from rekam_registry import finding, rules, version_rows
from rekam_registry.aliases import command
from rekam_registry.events import ModelEvent
from rekam_registry.ledger import Ledger
from rekam_registry.reads import Reads
from rekam_registry.requests import Context, cause_of
from rekam_registry.state import ModelState
from rekam_registry.uris import ModelUri

SERVICE = "rekam_proto.registry.v1.AliasService"


class AliasServicer(alias_pb2_grpc.AliasServiceServicer):
    """Commands are answered from the log, queries from the projection."""

    def __init__(self, ledger: Ledger, reads: Reads) -> None:
        self._ledger = ledger
        self._reads = reads

    async def SetAlias(
        self, request: alias_pb2.SetAliasRequest, context: Context
    ) -> alias_pb2.SetAliasResponse:
        cause = cause_of(request, context)
        rules.name(request.name)
        rules.alias(request.alias)
        rules.version(request.version)
        if request.expected_version:
            rules.version(request.expected_version, "expected_version")

        def answer(state: ModelState, event: ModelEvent | None) -> alias_pb2.SetAliasResponse:
            if isinstance(event, alias_pb2.AliasSet):
                return alias_pb2.SetAliasResponse(previous_version=event.previous_version)
            return alias_pb2.SetAliasResponse(previous_version=request.version)

        return await self._ledger.change(
            request.name,
            lambda state: command.set_alias(
                state, request.alias, request.version, expected=request.expected_version, by=request.by
            ),
            answer,
            cause,
        )

    async def DeleteAlias(
        self, request: alias_pb2.DeleteAliasRequest, context: Context
    ) -> alias_pb2.DeleteAliasResponse:
        cause = cause_of(request, context)
        rules.name(request.name)
        rules.alias_text(request.alias)
        return await self._ledger.change(
            request.name,
            lambda state: command.delete_alias(state, request.alias, request.by),
            lambda state, _: alias_pb2.DeleteAliasResponse(),
            cause,
        )

    async def GetVersionByAlias(
        self, request: alias_pb2.GetVersionByAliasRequest, context: Context
    ) -> version_pb2.ModelVersion:
        rules.name(request.name)
        rules.alias_text(request.alias)
        latest = request.alias.lower() == "latest"
        uri = ModelUri(request.name) if latest else ModelUri(request.name, alias=request.alias)
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            found = await finding.find(view, uri)
            (version,) = await version_rows.fetch(view, [(found.model_id, found.version)], signature=True)
        return version
