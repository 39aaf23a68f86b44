"""Commands on versions: the model's state and request in, event or refusal out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rekam_proto.registry.v1 import read_pb2, version_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry import moves, protecting, rules
from rekam_registry.errors import Stale
from rekam_registry.state import ModelState, tags_of


def create(
    state: ModelState, content: version_pb2.VersionCreated, writer: str
) -> version_pb2.VersionCreated | None:
    """content: the event but for its number. Nothing when the request created one before."""
    if writer in state.creators:
        return None
    event = version_pb2.VersionCreated()
    event.CopyFrom(content)
    event.model_id, event.version = state.model_id, state.last_version + 1
    return event


def copy_of(version: version_pb2.ModelVersion) -> version_pb2.VersionCreated:
    """The content of a version that is made from another model's."""
    return version_pb2.VersionCreated(
        source=f"models:/{version.name}/{version.version}",
        location=version.location,
        run_id=version.run_id,
        run_link=version.run_link,
        logged_model_id=version.logged_model_id,
        digest=version.digest,
        signature=version.signature,
        description=version.description,
        tags=version.tags,
        copied_from=version_pb2.VersionReference(
            model_id=version.model_id, name=version.name, version=version.version
        ),
    )


def update(state: ModelState, number: int, description: str) -> version_pb2.VersionUpdated | None:
    if state.version(number).core.description == description:
        return None
    return version_pb2.VersionUpdated(model_id=state.model_id, version=number, description=description)


def delete(state: ModelState, number: int, by: By) -> version_pb2.VersionDeleted:
    version = state.version(number)
    aliases = sorted(alias for alias, pointed in state.aliases.items() if pointed == number)
    protecting.allow(state, by, stages=[version.core.stage], aliases=aliases)
    return version_pb2.VersionDeleted(
        model_id=state.model_id, version=number, aliases=aliases, stage=version.core.stage
    )


def transition(
    state: ModelState,
    number: int,
    to: read_pb2.Stage,
    *,
    archive_existing: bool,
    expected: int,
    expected_version: int = 0,
    by: By,
) -> version_pb2.VersionTransitioned | None:
    """expected: the stage that it must be in; expected_version: the highest where it goes to; 0: any.

    When nothing is left to do nothing is expected: so it is when a request comes again, its answer lost.
    """
    stage = state.version(number).core.stage
    touched = moves.left_and_entered(state, number, to, archive_existing)
    if not touched:
        return None
    if expected and stage != expected:
        raise Stale(
            f"version {number} of {state.name!r} is in stage {rules.STAGE_NAMES[stage]}, "
            f"not {rules.STAGE_NAMES[expected]}",  # type: ignore[index]
            field="expected_stage",
        )
    highest = max(state.in_stage(to), default=0)
    if expected_version and highest != expected_version:
        raise Stale(
            f"in stage {rules.STAGE_NAMES[to]} of {state.name!r} is "
            f"{f'version {highest}' if highest else 'no version'}, not version {expected_version}",
            field="expected_version",
        )
    protecting.allow(state, by, stages=sorted(touched))
    return moves.transition(state, number, to, archive_existing)


def set_tags(state: ModelState, number: int, tags: Mapping[str, str]) -> version_pb2.VersionTagsSet | None:
    stored = state.version(number).tags
    if all(stored.get(key) == value for key, value in tags.items()):
        return None
    return version_pb2.VersionTagsSet(model_id=state.model_id, version=number, tags=tags_of(tags))


def delete_tags(state: ModelState, number: int, keys: Iterable[str]) -> version_pb2.VersionTagsDeleted | None:
    stored = state.version(number).tags
    present = [key for key in keys if key in stored]
    if not present:
        return None
    return version_pb2.VersionTagsDeleted(model_id=state.model_id, version=number, keys=present)
