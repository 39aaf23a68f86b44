"""HistoryService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.registry.v1 import history_pb2, history_pb2_grpc
from rekam_registry import rules
from rekam_registry.history import query
from rekam_registry.reads import Reads
from rekam_registry.requests import Context
from rekam_runtime.errors import Invalid

SERVICE = "rekam_proto.registry.v1.HistoryService"


class HistoryServicer(history_pb2_grpc.HistoryServiceServicer):
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def GetHistory(
        self, request: history_pb2.GetHistoryRequest, context: Context
    ) -> history_pb2.GetHistoryResponse:
        match request.WhichOneof("model"):
            case "name":
                rules.name(request.name)
            case "model_id":
                rules.model_id(request.model_id)
            case _:
                raise Invalid("a model's name or id is required", field="model")
        match request.WhichOneof("part"):
            case "version":
                rules.version(request.version)
            case "stage":
                rules.stage(request.stage)
            case "alias":
                rules.alias_text(request.alias)
            case _:
                pass
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            return await query.get_history(view, request)
