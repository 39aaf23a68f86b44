"""What is protected, and who may change it all the same."""

from __future__ import annotations

from collections.abc import Iterable

from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry import rules
from rekam_registry.state import ModelState
from rekam_runtime.errors import Forbidden


def allow(state: ModelState, by: By, *, stages: Iterable[int] = (), aliases: Iterable[str] = ()) -> None:
    """Refuse a change of stages or aliases that are protected, to whoever has none of the roles."""
    touched = [
        *(f"stage {rules.STAGE_NAMES[one]}" for one in stages if one in state.protection.stages),  # type: ignore[index]
        *(f"alias {one!r}" for one in aliases if one in state.protection.aliases),
    ]
    if touched:
        _require_role(state, by, ", ".join(dict.fromkeys(touched)))


def allow_whole(state: ModelState, by: By) -> None:
    """As allow, for what concerns everything of the model."""
    if state.protection.roles:
        _require_role(state, by, "model")


def is_protected(state: ModelState, *, stage: int = 0, alias: str = "") -> bool:
    return stage in state.protection.stages or alias in state.protection.aliases


def _require_role(state: ModelState, by: By, what: str) -> None:
    if not set(by.roles) & set(state.protection.roles):
        raise Forbidden(
            f"{what} of {state.name!r} is protected: it takes one of the roles "
            f"{', '.join(state.protection.roles)}, or a request that one of them approves",
            field="by.roles",
        )
