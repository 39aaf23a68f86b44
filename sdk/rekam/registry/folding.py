"""A model as its changes add up. Pure: what is there is never changed, so any thread may read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rekam import registered_conversion as conversion
from rekam.errors import NotFound
from rekam.registered import ModelStage, ModelVersion, RegisteredModel, VersionReference
from rekam.registry.uris import ModelUri
from rekam_proto.registry.v1 import history_pb2, version_pb2

_Value = TypeVar("_Value")
# Key of the highest version of all, beside those of the stages.
_ALL = ""


@dataclass(frozen=True, slots=True)
class Followed:
    """A registered model with all its versions. model: without its latest versions.

    highest: the highest version by stage, and of all. as_of: position of the log up to which it has
    everything, when that is further than what it lies in.
    """

    model: RegisteredModel
    versions: Mapping[int, ModelVersion]
    highest: Mapping[str, int]
    as_of: int = 0

    @classmethod
    def read(cls, model: RegisteredModel, versions: Mapping[int, ModelVersion], as_of: int = 0) -> Followed:
        """Of a model as it is read."""
        return cls(model, versions, _highest(versions), as_of)

    def find(self, uri: ModelUri) -> ModelVersion:
        """The version that is meant; raises NotFound, as the registry does."""
        name = self.model.name
        if uri.version:
            if uri.version in self.versions:
                return self.versions[uri.version]
            raise NotFound(f"Model Version (name={name}, version={uri.version}) not found", field="version")
        if uri.alias:
            if uri.alias in self.model.aliases:
                return self.versions[self.model.aliases[uri.alias]]
            raise NotFound(f"Registered model alias {uri.alias} not found.", field="alias")
        if uri.stage in self.highest:
            return self.versions[self.highest[uri.stage]]
        where = f" and stage '{uri.stage}'" if uri.stage else ""
        raise NotFound(f"No versions of model with name '{name}'{where} found", field="uri")

    def described(self) -> RegisteredModel:
        """As the registry answers it."""
        latest = [self.versions[number] for stage, number in self.highest.items() if stage != _ALL]
        latest.sort(key=lambda version: conversion.stage_of(version.current_stage))
        return replace(self.model, latest_versions=tuple(replace(each, aliases=()) for each in latest))


def created(change: history_pb2.Change) -> Followed:
    """A model that begins."""
    event = change.model_created
    now = change.time_us // 1_000
    model = RegisteredModel(
        name=event.name,
        registered_model_id=event.model_id,
        description=event.description,
        creation_timestamp=now,
        last_updated_timestamp=now,
        tags={tag.key: tag.value for tag in event.tags},
        protection=conversion.protection_from(event.protection),
    )
    return Followed(model, {}, {})


def folded(followed: Followed, change: history_pb2.Change) -> Followed:
    """The model after a change of it, whose creation and deletion are somebody else's."""
    model, versions = followed.model, followed.versions
    now = change.time_us // 1_000
    match change.WhichOneof("event"):
        case "model_renamed":
            model = replace(model, name=change.model_renamed.name, last_updated_timestamp=now)
            renamed = {
                number: replace(version, name=model.name, last_updated_timestamp=now)
                for number, version in versions.items()
            }
            return replace(followed, model=model, versions=renamed)
        case "model_updated":
            text = change.model_updated.description
            return replace(followed, model=replace(model, description=text, last_updated_timestamp=now))
        case "model_tags_set":
            tags = model.tags | {tag.key: tag.value for tag in change.model_tags_set.tags}
            return replace(followed, model=replace(model, tags=tags))
        case "model_tags_deleted":
            tags = _without(model.tags, change.model_tags_deleted.keys)
            return replace(followed, model=replace(model, tags=tags))
        case "model_protected":
            protection = conversion.protection_from(change.model_protected.protection)
            return replace(followed, model=replace(model, protection=protection))
        case "version_created":
            version = _version(change)
            model = replace(model, last_updated_timestamp=now)
            highest = dict(followed.highest) | {_ALL: version.version, ModelStage.NONE: version.version}
            return replace(
                followed, model=model, versions={**versions, version.version: version}, highest=highest
            )
        case "version_updated":
            text = change.version_updated.description
            return _with(
                followed, change.version_updated.version, description=text, last_updated_timestamp=now
            )
        case "version_tags_set":
            number = change.version_tags_set.version
            tags = versions[number].tags | {tag.key: tag.value for tag in change.version_tags_set.tags}
            return _with(followed, number, tags=tags)
        case "version_tags_deleted":
            number = change.version_tags_deleted.version
            return _with(
                followed, number, tags=_without(versions[number].tags, change.version_tags_deleted.keys)
            )
        case "version_deleted":
            gone = change.version_deleted.version
            aliases = {alias: number for alias, number in model.aliases.items() if number != gone}
            left = {number: version for number, version in versions.items() if number != gone}
            return _moved(followed, left, now, aliases=aliases)
        case "version_transitioned":
            return _transitioned(followed, change.version_transitioned, now)
        case "alias_set":
            aliases = dict(
                sorted((model.aliases | {change.alias_set.alias: change.alias_set.version}).items())
            )
            return _pointed(followed, aliases)
        case "alias_deleted":
            return _pointed(followed, _without(model.aliases, [change.alias_deleted.alias]))
        case _:
            # Requests, and what later registries tell: nothing that is kept here.
            return followed


def _version(change: history_pb2.Change) -> ModelVersion:
    event = change.version_created
    now = change.time_us // 1_000
    copied = event.copied_from
    return ModelVersion(
        name=change.name,
        version=event.version,
        registered_model_id=event.model_id,
        description=event.description,
        source=event.source,
        location=event.location,
        run_id=event.run_id or None,
        run_link=event.run_link or None,
        model_id=event.logged_model_id or None,
        digest=event.digest or None,
        user_id=change.actor,
        creation_timestamp=now,
        last_updated_timestamp=now,
        tags={tag.key: tag.value for tag in event.tags},
        copied_from=VersionReference(copied.name, copied.version, copied.model_id)
        if event.HasField("copied_from")
        else None,
    )


def _transitioned(followed: Followed, event: version_pb2.VersionTransitioned, now: int) -> Followed:
    versions = dict(followed.versions)
    moves = [(event.version, conversion.stage_name(event.stage))]
    moves += [(number, ModelStage.ARCHIVED) for number in event.archived]
    for number, stage in moves:
        versions[number] = replace(versions[number], current_stage=stage, last_updated_timestamp=now)
    return _moved(followed, versions, now)


def _moved(followed: Followed, versions: Mapping[int, ModelVersion], now: int, **changes: Any) -> Followed:
    """With other versions in its stages, and changes of the model."""
    model = replace(followed.model, last_updated_timestamp=now, **changes)
    return replace(followed, model=model, versions=versions, highest=_highest(versions))


def _pointed(followed: Followed, aliases: dict[str, int]) -> Followed:
    """With these aliases, which their versions know, too."""
    versions = dict(followed.versions)
    before = followed.model.aliases
    moved = {alias for alias in before | aliases if before.get(alias) != aliases.get(alias)}
    for number in {target for alias in moved for target in (before.get(alias), aliases.get(alias)) if target}:
        pointing = tuple(alias for alias, target in aliases.items() if target == number)
        versions[number] = replace(versions[number], aliases=pointing)
    return replace(followed, model=replace(followed.model, aliases=aliases), versions=versions)


def _with(followed: Followed, number: int, **changes: Any) -> Followed:
    """With changes of one version."""
    changed = replace(followed.versions[number], **changes)
    return replace(followed, versions={**followed.versions, number: changed})


def _without(values: Mapping[str, _Value], keys: Iterable[str]) -> dict[str, _Value]:
    gone = set(keys)
    return {key: value for key, value in values.items() if key not in gone}


def _highest(versions: Mapping[int, ModelVersion]) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, version in versions.items():
        for key in (_ALL, version.current_stage):
            found[key] = max(number, found.get(key, 0))
    return found
