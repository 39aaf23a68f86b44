"""ResolveService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.registry.v1 import resolve_pb2, resolve_pb2_grpc
from rekam_registry import finding, uris, version_rows
from rekam_registry.reads import Reads
from rekam_registry.requests import Context

SERVICE = "rekam_proto.registry.v1.ResolveService"


class ResolveServicer(resolve_pb2_grpc.ResolveServiceServicer):
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def Resolve(self, request: resolve_pb2.ResolveRequest, context: Context) -> resolve_pb2.Resolved:
        uri = uris.parse(request.uri)
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            found = await finding.find(view, uri)
            (version,) = await version_rows.fetch(view, [(found.model_id, found.version)], signature=True)
            position = found.position if view.at.position is None else view.at.position
        return resolve_pb2.Resolved(version=version, position=position)
