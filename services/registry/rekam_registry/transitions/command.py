"""Commands on requests for transitions: the model's state and request in, event or refusal out. Pure."""

from __future__ import annotations

from rekam_proto.registry.v1 import alias_pb2, transition_pb2, version_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry import moves, protecting
from rekam_registry.state import ModelState
from rekam_runtime.errors import FailedPrecondition, Forbidden


def request(
    state: ModelState, asked: transition_pb2.RequestTransitionRequest
) -> transition_pb2.TransitionRequested | None:
    """Nothing when this very request was taken before."""
    if asked.by.origin.writer in state.askers:
        return None
    event = transition_pb2.TransitionRequested(
        model_id=state.model_id,
        request_id=state.last_request + 1,
        version=state.version(asked.version).core.version,
        archive_existing=asked.archive_existing,
    )
    if asked.WhichOneof("to") == "stage":
        event.stage = asked.stage
    else:
        event.alias = asked.alias
    return event


def approve(
    state: ModelState, request_id: int, by: By
) -> version_pb2.VersionTransitioned | alias_pb2.AliasSet | None:
    """The event of what was asked for; nothing when this very request has approved it before."""
    if _was_decided_by(state, request_id, by):
        return None
    asked = _pending(state, request_id)
    if asked.WhichOneof("to") == "alias":
        if protecting.is_protected(state, alias=asked.alias):
            _require_another(asked, by)
        protecting.allow(state, by, aliases=[asked.alias])
        return moves.point(state, asked.alias, asked.version, request_id)
    touched = moves.left_and_entered(state, asked.version, asked.stage, asked.archive_existing)
    if any(protecting.is_protected(state, stage=stage) for stage in touched):
        _require_another(asked, by)
    protecting.allow(state, by, stages=sorted(touched))
    return moves.transition(state, asked.version, asked.stage, asked.archive_existing, request_id)


def reject(state: ModelState, request_id: int, by: By) -> transition_pb2.TransitionRejected | None:
    """As `approve`."""
    if _was_decided_by(state, request_id, by):
        return None
    asked = _pending(state, request_id)
    if asked.requester != by.actor:
        if asked.WhichOneof("to") == "alias":
            protecting.allow(state, by, aliases=[asked.alias])
        else:
            protecting.allow(state, by, stages=[asked.stage])
    return transition_pb2.TransitionRejected(
        model_id=state.model_id, request_id=request_id, version=asked.version
    )


def _was_decided_by(state: ModelState, request_id: int, by: By) -> bool:
    writer = by.origin.writer
    return bool(writer) and state.deciders.get(request_id) == writer


def _pending(state: ModelState, request_id: int) -> transition_pb2.TransitionRequest:
    asked = state.request(request_id)
    if asked.state != transition_pb2.TRANSITION_STATE_PENDING:
        raise FailedPrecondition(f"request {request_id} of {state.name!r} is decided", field="request_id")
    return asked


def _require_another(asked: transition_pb2.TransitionRequest, by: By) -> None:
    if asked.requester == by.actor:
        raise Forbidden("what is protected is approved by somebody else than who asked", field="by.actor")
