"""Params are written once."""

from __future__ import annotations

from collections.abc import Mapping

from rekam_runtime.errors import Invalid


def new_params(stored: Mapping[str, str], params: Mapping[str, str], owner: str) -> dict[str, str]:
    """Those that are not stored; raises Invalid when one is, with another value."""
    new: dict[str, str] = {}
    for key, value in params.items():
        before = stored.get(key)
        if before is None:
            new[key] = value
        elif before != value:
            raise Invalid(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                f"value='{before}' for {owner}. Attempted logging new value '{value}'.",
                field="params",
            )
    return new
