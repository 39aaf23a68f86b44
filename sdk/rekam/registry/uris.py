"""URIs of registered models: models:/<name>/<version or stage or "latest">, models:/<name>@<alias>."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rekam.errors import Invalid
from rekam.registered import ModelStage

_SCHEME = "models:/"
_STAGES = {
    stage.lower(): stage
    for stage in (ModelStage.NONE, ModelStage.STAGING, ModelStage.PRODUCTION, ModelStage.ARCHIVED)
}
_LATEST = "latest"


@dataclass(frozen=True, slots=True)
class ModelUri:
    """What a URI asks for: one of version, stage and alias, or with none of them the highest version."""

    name: str
    version: int = 0
    stage: str = ""
    alias: str = ""


# A program asks for the same few, again and again.
@lru_cache(maxsize=1_024)
def parse(uri: str) -> ModelUri:
    """As the registry reads it; raises Invalid for what is none."""
    # A name has no slash, so an empty authority (models:///) and none mean the same.
    path = uri.removeprefix(_SCHEME).lstrip("/")
    name, slash, rest = path.partition("/")
    if uri.startswith(_SCHEME) and slash and name:
        if rest.isascii() and rest.isdigit() and len(rest) <= 18 and int(rest):
            return ModelUri(name, version=int(rest))
        if rest.lower() == _LATEST:
            return ModelUri(name)
        if rest.lower() in _STAGES:
            return ModelUri(name, stage=_STAGES[rest.lower()])
    elif uri.startswith(_SCHEME):
        name, at, alias = path.rpartition("@")
        if at and name and alias:
            return ModelUri(name) if alias.lower() == _LATEST else ModelUri(name, alias=alias)
    raise Invalid(
        f"Invalid model version URI: {uri[:300]!r}. It is models:/<name>/<version>, models:/<name>/<stage>, "
        "models:/<name>/latest or models:/<name>@<alias>",
        field="uri",
    )
