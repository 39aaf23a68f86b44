"""A registered model as its events add up: what its commands are decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import Message

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.registry.v1 import alias_pb2, model_pb2, read_pb2, transition_pb2, version_pb2
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_runtime.errors import NotFound

_MODEL_WEIGHT = 1_000
_VERSION_WEIGHT = 1_000
_NAME_WEIGHT = 500


@dataclass(slots=True)
class NameState:
    """Who has a name."""

    owner: str = ""
    # Writers of the requests that took and freed it last; empty for plain requests. The same request
    # sent again is known by them.
    taken_by: str = ""
    freed_by: str = ""
    weight: int = _NAME_WEIGHT

    def apply(self, event: Message, envelope: Envelope, position: int) -> None:
        match event:
            case model_pb2.NameTaken():
                self.owner, self.taken_by = event.model_id, envelope.origin.writer
            case model_pb2.NameFreed():
                self.owner, self.freed_by = "", envelope.origin.writer
            case _:
                pass


@dataclass(slots=True)
class Version:
    """One version. core: all of it but name, tags and aliases."""

    core: version_pb2.ModelVersion
    tags: dict[str, str]


@dataclass(slots=True)
class ModelState:
    """One model; model_id is empty while there is none."""

    model_id: str = ""
    name: str = ""
    description: str = ""
    created_us: int = 0
    updated_us: int = 0
    deleted: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    protection: model_pb2.Protection = field(default_factory=model_pb2.Protection)
    versions: dict[int, Version] = field(default_factory=dict)
    # Deleted ones count.
    last_version: int = 0
    aliases: dict[str, int] = field(default_factory=dict)
    requests: dict[int, transition_pb2.TransitionRequest] = field(default_factory=dict)
    last_request: int = 0
    # What writers made, each by one request: the version, and the request for a transition.
    creators: dict[str, int] = field(default_factory=dict)
    askers: dict[str, int] = field(default_factory=dict)
    # And which writer decided a request.
    deciders: dict[int, str] = field(default_factory=dict)
    weight: int = _MODEL_WEIGHT

    def apply(self, event: Message, envelope: Envelope, position: int) -> None:
        now_us = envelope.time_us
        # Never taken back: an upper bound will do.
        self.weight += 2 * len(envelope.payload)
        match event:
            case model_pb2.ModelCreated():
                self.model_id, self.name, self.description = event.model_id, event.name, event.description
                self.created_us = self.updated_us = now_us
                self.tags = {tag.key: tag.value for tag in event.tags}
                self.protection = event.protection
            case model_pb2.ModelRenamed():
                self.name, self.updated_us = event.name, now_us
                for version in self.versions.values():
                    version.core.updated_us = now_us
            case model_pb2.ModelUpdated():
                self.description, self.updated_us = event.description, now_us
            case model_pb2.ModelDeleted():
                self.deleted = True
            case model_pb2.ModelTagsSet():
                self.tags.update((tag.key, tag.value) for tag in event.tags)
            case model_pb2.ModelTagsDeleted():
                for key in event.keys:
                    self.tags.pop(key, None)
            case model_pb2.ModelProtected():
                self.protection = event.protection
            case version_pb2.VersionCreated():
                self._create_version(event, envelope)
            case version_pb2.VersionUpdated():
                core = self.versions[event.version].core
                core.description, core.updated_us = event.description, now_us
            case version_pb2.VersionDeleted():
                del self.versions[event.version]
                self.aliases = {a: v for a, v in self.aliases.items() if v != event.version}
                for request in self.requests.values():
                    if request.version == event.version:
                        self._decide(request.request_id, transition_pb2.TRANSITION_STATE_VOID, envelope)
                self.updated_us = now_us
            case version_pb2.VersionTransitioned():
                self._move(event.version, event.stage, now_us)
                for archived in event.archived:
                    self._move(archived, read_pb2.STAGE_ARCHIVED, now_us)
                self._decide(event.request_id, transition_pb2.TRANSITION_STATE_APPROVED, envelope)
                self.updated_us = now_us
            case version_pb2.VersionTagsSet():
                self.versions[event.version].tags.update((tag.key, tag.value) for tag in event.tags)
            case version_pb2.VersionTagsDeleted():
                for key in event.keys:
                    self.versions[event.version].tags.pop(key, None)
            case alias_pb2.AliasSet():
                self.aliases[event.alias] = event.version
                self._decide(event.request_id, transition_pb2.TRANSITION_STATE_APPROVED, envelope)
            case alias_pb2.AliasDeleted():
                self.aliases.pop(event.alias, None)
            case transition_pb2.TransitionRequested():
                self._request(event, envelope)
            case transition_pb2.TransitionRejected():
                self._decide(event.request_id, transition_pb2.TRANSITION_STATE_REJECTED, envelope)
            case _:
                pass

    def version(self, number: int) -> Version:
        found = self.versions.get(number)
        if found is None:
            raise NotFound(f"Model Version (name={self.name}, version={number}) not found", field="version")
        return found

    def request(self, request_id: int) -> transition_pb2.TransitionRequest:
        found = self.requests.get(request_id)
        if found is None:
            raise NotFound(f"model {self.name!r} has no request {request_id}", field="request_id")
        return found

    def in_stage(self, stage: int) -> list[int]:
        return [number for number, version in self.versions.items() if version.core.stage == stage]

    def describe(self) -> model_pb2.RegisteredModel:
        """The model as reads answer it."""
        highest: dict[int, int] = {}
        for number, version in self.versions.items():
            highest[version.core.stage] = max(number, highest.get(version.core.stage, 0))
        latest = []
        for stage in sorted(highest):
            one = self.describe_version(highest[stage])
            # The model tells its aliases itself.
            one.ClearField("aliases")
            one.ClearField("signature")
            latest.append(one)
        return model_pb2.RegisteredModel(
            model_id=self.model_id,
            name=self.name,
            description=self.description,
            created_us=self.created_us,
            updated_us=self.updated_us,
            tags=tags_of(self.tags),
            aliases=[model_pb2.Alias(alias=a, version=v) for a, v in sorted(self.aliases.items())],
            latest_versions=latest,
            protection=self.protection if self.protection.roles else None,
        )

    def describe_version(self, number: int) -> version_pb2.ModelVersion:
        """The version as GetModelVersion answers it."""
        version = self.version(number)
        described = version_pb2.ModelVersion()
        described.CopyFrom(version.core)
        described.name = self.name
        described.tags.extend(tags_of(version.tags))
        described.aliases.extend(sorted(a for a, v in self.aliases.items() if v == number))
        return described

    def describe_request(self, request_id: int) -> transition_pb2.TransitionRequest:
        described = transition_pb2.TransitionRequest()
        described.CopyFrom(self.requests[request_id])
        described.name = self.name
        return described

    def _create_version(self, event: version_pb2.VersionCreated, envelope: Envelope) -> None:
        core = version_pb2.ModelVersion(
            model_id=event.model_id,
            version=event.version,
            stage=read_pb2.STAGE_NONE,
            description=event.description,
            source=event.source,
            location=event.location,
            run_id=event.run_id,
            run_link=event.run_link,
            logged_model_id=event.logged_model_id,
            digest=event.digest,
            signature=event.signature,
            user=envelope.actor,
            created_us=envelope.time_us,
            updated_us=envelope.time_us,
            copied_from=event.copied_from if event.HasField("copied_from") else None,
        )
        tags = {tag.key: tag.value for tag in event.tags}
        self.versions[event.version] = Version(core, tags)
        if envelope.origin.writer:
            self.creators[envelope.origin.writer] = event.version
        self.last_version = max(self.last_version, event.version)
        self.updated_us = envelope.time_us
        self.weight += _VERSION_WEIGHT

    def _move(self, number: int, stage: read_pb2.Stage, now_us: int) -> None:
        core = self.versions[number].core
        core.stage, core.updated_us = stage, now_us

    def _request(self, event: transition_pb2.TransitionRequested, envelope: Envelope) -> None:
        request = transition_pb2.TransitionRequest(
            request_id=event.request_id,
            model_id=event.model_id,
            version=event.version,
            archive_existing=event.archive_existing,
            state=transition_pb2.TRANSITION_STATE_PENDING,
            requester=envelope.actor,
            reason=envelope.reason,
            requested_us=envelope.time_us,
        )
        if event.WhichOneof("to") == "stage":
            request.stage = event.stage
        else:
            request.alias = event.alias
        self.requests[event.request_id] = request
        self.last_request = max(self.last_request, event.request_id)
        if envelope.origin.writer:
            self.askers[envelope.origin.writer] = event.request_id

    def _decide(self, request_id: int, state: transition_pb2.TransitionState, envelope: Envelope) -> None:
        request = self.requests.get(request_id)
        if request is None or request.state != transition_pb2.TRANSITION_STATE_PENDING:
            return
        request.state = state
        request.decider, request.decision_reason = envelope.actor, envelope.reason
        request.decided_us = envelope.time_us
        if envelope.origin.writer:
            self.deciders[request_id] = envelope.origin.writer


def tags_of(tags: Mapping[str, str]) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in sorted(tags.items())]
