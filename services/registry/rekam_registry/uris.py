"""The uris of models: models:/<name>/<version or stage or "latest">, models:/<name>@<alias>."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rekam_registry import rules
from rekam_registry.state import ModelState
from rekam_runtime.errors import Invalid, NotFound

SCHEME = "models:/"
# The same few are asked for over and over.
_MOST_PARSED = 1_000
_STAGES = {name.lower(): stage for stage, name in rules.STAGE_NAMES.items()}
_LOGGED_MODEL = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ModelUri:
    """What a uri asks for: one of version, stage and alias, or with none of them the highest version."""

    name: str
    version: int = 0
    stage: int = 0
    alias: str = ""


def is_logged_model(text: str) -> bool:
    """models:/m-<32 hex digits>: what a run made, of which tracking knows."""
    return _LOGGED_MODEL.fullmatch(text.removeprefix(SCHEME).lstrip("/")) is not None


@lru_cache(maxsize=_MOST_PARSED)
def parse(text: str, field: str = "uri") -> ModelUri:
    """Raises Invalid for what is no uri of a registered model's version."""
    if len(text) > rules.MAX_SOURCE:
        raise Invalid(f"a uri has at most {rules.MAX_SOURCE:,} characters", field=field)
    if not text.startswith(SCHEME):
        raise _fault(text, field)
    # A name has no slash, so an empty authority (models:///) and none mean the same.
    path = text[len(SCHEME) :].lstrip("/")
    name, slash, rest = path.partition("/")
    if slash:
        uri = _of_suffix(name, rest, text, field)
    elif _LOGGED_MODEL.fullmatch(path):
        raise Invalid(f"{text} is a logged model: it is not in the registry", field=field)
    else:
        name, at, alias = path.rpartition("@")
        if not at:
            raise _fault(text, field)
        rules.alias_text(alias, field)
        uri = ModelUri(name) if alias.lower() == "latest" else ModelUri(name, alias=alias)
    rules.name(uri.name, field)
    return uri


def find(state: ModelState, uri: ModelUri) -> int:
    """The version that is meant; raises NotFound when there is none."""
    if uri.version:
        return state.version(uri.version).core.version
    if uri.alias:
        if uri.alias not in state.aliases:
            raise missing_alias(uri.alias)
        return state.aliases[uri.alias]
    candidates = state.in_stage(uri.stage) if uri.stage else list(state.versions)
    if not candidates:
        raise missing_in_stage(state.name, uri.stage)
    return max(candidates)


def missing_version(name: str, number: int) -> NotFound:
    return NotFound(f"Model Version (name={name}, version={number}) not found", field="version")


def missing_alias(alias: str) -> NotFound:
    return NotFound(f"Registered model alias {alias} not found.", field="alias")


def missing_in_stage(name: str, stage: int) -> NotFound:
    where = f" and stage '{rules.STAGE_NAMES[stage]}'" if stage else ""  # type: ignore[index]
    return NotFound(f"No versions of model with name '{name}'{where} found", field="uri")


def _of_suffix(name: str, suffix: str, text: str, field: str) -> ModelUri:
    if suffix.isascii() and suffix.isdigit():
        if len(suffix) > 18 or int(suffix) == 0:
            raise Invalid(f"a version is a number from 1, got {suffix[:80]}", field=field)
        return ModelUri(name, version=int(suffix))
    if suffix.lower() == "latest":
        return ModelUri(name)
    if suffix.lower() in _STAGES:
        return ModelUri(name, stage=_STAGES[suffix.lower()])
    raise _fault(text, field)


def _fault(text: str, field: str) -> Invalid:
    return Invalid(
        f"Invalid model version URI: {text[:300]!r}. It is models:/<name>/<version>, models:/<name>/<stage>, "
        "models:/<name>/latest or models:/<name>@<alias>",
        field=field,
    )
