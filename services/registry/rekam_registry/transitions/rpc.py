"""TransitionService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

from rekam_proto.registry.v1 import transition_pb2, transition_pb2_grpc
from rekam_registry import rules
from rekam_registry.events import ModelEvent
from rekam_registry.ledger import Ledger
from rekam_registry.reads import Reads
from rekam_registry.requests import Context, cause_of
from rekam_registry.state import ModelState
from rekam_registry.transitions import command, query
from rekam_runtime.errors import Invalid

SERVICE = "rekam_proto.registry.v1.TransitionService"


class TransitionServicer(transition_pb2_grpc.TransitionServiceServicer):
    """Commands are answered from the log, queries from the projection."""

    def __init__(self, ledger: Ledger, reads: Reads) -> None:
        self._ledger = ledger
        self._reads = reads

    async def RequestTransition(
        self, request: transition_pb2.RequestTransitionRequest, context: Context
    ) -> transition_pb2.TransitionRequest:
        cause = cause_of(request, context)
        rules.name(request.name)
        rules.version(request.version)
        match request.WhichOneof("to"):
            case "stage":
                rules.stage(request.stage)
                rules.archiving(request.stage, request.archive_existing)
            case "alias":
                rules.alias(request.alias)
                if request.archive_existing:
                    raise Invalid("an alias archives nothing", field="archive_existing")
            case _:
                raise Invalid("a stage or an alias is required", field="to")

        def answer(state: ModelState, event: ModelEvent | None) -> transition_pb2.TransitionRequest:
            if isinstance(event, transition_pb2.TransitionRequested):
                return state.describe_request(event.request_id)
            # It was asked for by this request before.
            return state.describe_request(state.askers[cause.writer])

        return await self._ledger.change(
            request.name, lambda state: command.request(state, request), answer, cause
        )

    async def ApproveTransition(
        self, request: transition_pb2.ApproveTransitionRequest, context: Context
    ) -> transition_pb2.TransitionRequest:
        cause = cause_of(request, context)
        rules.name(request.name)
        return await self._ledger.change(
            request.name,
            lambda state: command.approve(state, request.request_id, request.by),
            lambda state, _: state.describe_request(request.request_id),
            cause,
        )

    async def RejectTransition(
        self, request: transition_pb2.RejectTransitionRequest, context: Context
    ) -> transition_pb2.TransitionRequest:
        cause = cause_of(request, context)
        rules.name(request.name)
        return await self._ledger.change(
            request.name,
            lambda state: command.reject(state, request.request_id, request.by),
            lambda state, _: state.describe_request(request.request_id),
            cause,
        )

    async def ListTransitions(
        self, request: transition_pb2.ListTransitionsRequest, context: Context
    ) -> transition_pb2.ListTransitionsResponse:
        rules.name(request.name)
        if request.version:
            rules.version(request.version)
        if request.state not in transition_pb2.TransitionState.values():
            raise Invalid(f"{request.state} is no state of a request", field="state")
        async with self._reads.view(request.as_of, request.consistency, context) as view:
            return await query.list_transitions(view, request)
