"""Moving versions between stages, and aliases between versions: directly, or by an approval. Pure."""

from __future__ import annotations

from rekam_proto.registry.v1 import alias_pb2, read_pb2, version_pb2
from rekam_registry.state import ModelState


def left_and_entered(state: ModelState, number: int, to: int, archive_existing: bool) -> set[int]:
    """The stages that a transition changes."""
    stage = state.version(number).core.stage
    touched: set[int] = set() if stage == to else {stage, to}
    if archived(state, number, to, archive_existing):
        touched |= {to, read_pb2.STAGE_ARCHIVED}
    return touched


def archived(state: ModelState, number: int, to: int, archive_existing: bool) -> list[int]:
    """The versions that make room."""
    return sorted(other for other in state.in_stage(to) if other != number) if archive_existing else []


def transition(
    state: ModelState, number: int, to: read_pb2.Stage, archive_existing: bool, request_id: int = 0
) -> version_pb2.VersionTransitioned:
    return version_pb2.VersionTransitioned(
        model_id=state.model_id,
        version=number,
        previous_stage=state.version(number).core.stage,
        stage=to,
        archived=archived(state, number, to, archive_existing),
        request_id=request_id,
    )


def point(state: ModelState, alias: str, number: int, request_id: int = 0) -> alias_pb2.AliasSet:
    return alias_pb2.AliasSet(
        model_id=state.model_id,
        alias=alias,
        version=state.version(number).core.version,
        previous_version=state.aliases.get(alias, 0),
        request_id=request_id,
    )
