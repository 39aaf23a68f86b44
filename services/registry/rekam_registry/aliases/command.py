"""Commands on aliases: the model's state and request in, event or refusal out. Pure."""

from __future__ import annotations

from rekam_proto.registry.v1 import alias_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry import moves, protecting
from rekam_registry.errors import Stale
from rekam_registry.state import ModelState


def set_alias(
    state: ModelState, alias: str, number: int, *, expected: int, by: By
) -> alias_pb2.AliasSet | None:
    """expected: the version that it must point to now, unless it is done already; 0: any or none."""
    now = state.aliases.get(alias, 0)
    event = moves.point(state, alias, number)
    if now == number:
        return None
    if expected and now != expected:
        raise Stale(
            f"alias {alias!r} of {state.name!r} points to {f'version {now}' if now else 'nothing'}, "
            f"not to version {expected}",
            field="expected_version",
        )
    protecting.allow(state, by, aliases=[alias])
    return event


def delete_alias(state: ModelState, alias: str, by: By) -> alias_pb2.AliasDeleted | None:
    if alias not in state.aliases:
        return None
    protecting.allow(state, by, aliases=[alias])
    return alias_pb2.AliasDeleted(model_id=state.model_id, alias=alias, version=state.aliases[alias])
