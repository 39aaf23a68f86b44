"""ResolveService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.registry.v1 import resolve_pb2, resolve_pb2_grpc, version_pb2
from rekam_proto.tracking.v1.read_pb2 import CONSISTENCY_EVENTUAL
from rekam_registry import finding, uris, version_rows
from rekam_registry.reads import Reads, View, check_consistency
from rekam_registry.requests import Context
from rekam_registry.resolving.answers import Answers
from rekam_registry.tail import LogEnd, Tail
from rekam_registry.uris import ModelUri

SERVICE = "rekam_proto.registry.v1.ResolveService"


class ResolveServicer(resolve_pb2_grpc.ResolveServiceServicer):
    """Answers from memory what it has answered before and is still true; else from the projection.

    A strong answer costs a look at the log's end, shared by all who ask at that moment, and no wait for
    the projection, unless the model has changed.
    """

    def __init__(self, reads: Reads, tail: Tail, end: LogEnd, answers: Answers) -> None:
        self._reads = reads
        self._tail = tail
        self._end = end
        self._answers = answers

    async def Resolve(self, request: resolve_pb2.ResolveRequest, context: Context) -> resolve_pb2.Resolved:
        uri = uris.parse(request.uri)
        check_consistency(request.consistency)
        if request.as_of.WhichOneof("moment") is None:
            if request.consistency != CONSISTENCY_EVENTUAL:
                await self._tail.reach(await self._end.position(), self._reads.left_s(context))
            kept = self._answers.get(uri)
            if kept is not None:
                return resolve_pb2.Resolved(version=kept, position=self._tail.position)
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            version, position = await _look_up(view, uri)
        if request.as_of.WhichOneof("moment") is None:
            self._answers.keep(uri, version, position)
        return resolve_pb2.Resolved(version=version, position=position)


async def _look_up(view: View, uri: ModelUri) -> tuple[version_pb2.ModelVersion, int]:
    found = await finding.find(view, uri)
    (version,) = await version_rows.fetch(view, [(found.model_id, found.version)], signature=True)
    return version, found.position if view.at.position is None else view.at.position
