"""What the registry answers with: typed, frozen. Times are milliseconds since the epoch, where not said."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

# A moment that a read answers for: a position of the registry's log, or a time (with its zone).
AsOf: TypeAlias = int | datetime


class ModelStage:
    """Where a version stands, as text; taken in any case."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


class TransitionState:
    """What became of a request for a transition, as text."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    # The version was deleted before anybody decided.
    VOID = "VOID"


@dataclass(frozen=True, slots=True)
class Protection:
    """Stages and aliases that only who has one of the roles may change, or approve a change of."""

    stages: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionReference:
    """A version that another one was copied from; name: the model's at that time."""

    name: str
    version: int
    registered_model_id: str


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a registered model.

    source: where it came from, as it was said; location: where its files are. model_id: of the logged
    model that it was made from. digest: see rekam.register_model. signature: JSON, as MLmodel has it; the
    answers of get_model_version and resolve_model alone have it.
    """

    name: str
    version: int
    registered_model_id: str
    current_stage: str = ModelStage.NONE
    description: str = ""
    source: str = ""
    location: str = ""
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    digest: str | None = None
    signature: str | None = None
    user_id: str = ""
    creation_timestamp: int = 0
    last_updated_timestamp: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    copied_from: VersionReference | None = None


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model. registered_model_id stays when the name changes.

    latest_versions: the highest of each stage that has one, by stage, without aliases.
    aliases: version by alias.
    """

    name: str
    registered_model_id: str
    description: str = ""
    creation_timestamp: int = 0
    last_updated_timestamp: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    latest_versions: tuple[ModelVersion, ...] = ()
    protection: Protection = Protection()


@dataclass(frozen=True, slots=True)
class ModelTransition:
    """A request to move a version into a stage or an alias to it; decider: None while it is pending."""

    request_id: int
    name: str
    version: int
    registered_model_id: str
    state: str
    stage: str | None = None
    alias: str | None = None
    archive_existing_versions: bool = False
    requester: str = ""
    reason: str = ""
    creation_timestamp: int = 0
    decider: str | None = None
    decision_reason: str | None = None
    decision_timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One change of a registered model, who made it and why.

    position: in the registry's log. name: the model's, after it. event: "version_transitioned",
    "alias_set", ...: a field of the message Change. details: what the event says (proto
    rekam_proto.registry.v1), stages and versions by their names and numbers; no key where it says nothing.
    """

    position: int
    time_us: int
    actor: str
    reason: str
    name: str
    registered_model_id: str
    event: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch."""
        return self.time_us // 1_000

    @property
    def version(self) -> int | None:
        """The version that it is about."""
        return self.details.get("version")
