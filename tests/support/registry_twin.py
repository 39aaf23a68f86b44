"""The registry as a few dictionaries: what its answers must say, decided by other code than the service's."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from rekam_proto.registry.v1 import model_pb2, read_pb2, version_pb2


@dataclass
class TwinVersion:
    source: str
    stage: int = read_pb2.STAGE_NONE
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class TwinModel:
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[int, TwinVersion] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    count: int = 0


@dataclass
class Twin:
    """Every model by name."""

    models: dict[str, TwinModel] = field(default_factory=dict)

    def frozen(self) -> Twin:
        return copy.deepcopy(self)

    def transition(self, name: str, number: int, stage: int, archive_existing: bool) -> None:
        versions = self.models[name].versions
        for other, version in versions.items():
            if archive_existing and other != number and version.stage == stage:
                version.stage = read_pb2.STAGE_ARCHIVED
        versions[number].stage = stage

    def delete_version(self, name: str, number: int) -> None:
        model = self.models[name]
        del model.versions[number]
        model.aliases = {alias: pointed for alias, pointed in model.aliases.items() if pointed != number}

    def resolve(self, name: str, suffix: str) -> int | None:
        """Of models:/<name><suffix>; None when nothing is there."""
        model = self.models.get(name)
        if model is None:
            return None
        if suffix.startswith("@"):
            return model.aliases.get(suffix[1:])
        wanted = suffix[1:]
        if wanted.isdigit():
            return int(wanted) if int(wanted) in model.versions else None
        stages = {"staging": read_pb2.STAGE_STAGING, "production": read_pb2.STAGE_PRODUCTION}
        return max(
            (
                number
                for number, version in model.versions.items()
                if wanted == "latest" or version.stage == stages[wanted.lower()]
            ),
            default=None,
        )


def model_said(model: model_pb2.RegisteredModel) -> tuple[object, ...]:
    """What of an answer a twin says too."""
    return (
        model.description,
        {tag.key: tag.value for tag in model.tags},
        {alias.alias: alias.version for alias in model.aliases},
        {version.stage: version.version for version in model.latest_versions},
    )


def twin_model_said(model: TwinModel) -> tuple[object, ...]:
    latest: dict[int, int] = {}
    for number, version in model.versions.items():
        latest[version.stage] = max(number, latest.get(version.stage, 0))
    return model.description, model.tags, model.aliases, latest


def version_said(version: version_pb2.ModelVersion) -> tuple[object, ...]:
    tags = {tag.key: tag.value for tag in version.tags}
    return version.source, version.stage, version.description, tags, sorted(version.aliases)


def twin_version_said(model: TwinModel, number: int) -> tuple[object, ...]:
    version = model.versions[number]
    aliases = sorted(alias for alias, pointed in model.aliases.items() if pointed == number)
    return version.source, version.stage, version.description, version.tags, aliases
