"""Commands on experiments: catalog and request in, event or refusal out. Pure.

The catalog is every experiment's create, rename, delete and restore, in the order of
one subject: that order decides names and ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from google.protobuf.message import Message

from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.tracking.v1 import experiment_pb2, read_pb2
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, NotFound

Origin = envelope_pb2.Origin

DEFAULT_ID = "0"
DEFAULT_NAME = "Default"


@dataclass(slots=True)
class Entry:
    """One experiment of the catalog; its tags are those it was created with."""

    experiment: experiment_pb2.Experiment
    # Position of the event that deleted or restored it last, 0 when none did.
    lifecycle_position: int = 0
    # Writers of the records that created it, and that deleted or restored it last; empty for
    # plain requests. The same request sent again is known by them.
    creator: str = ""
    mover: str = ""

    @property
    def experiment_id(self) -> str:
        return self.experiment.experiment_id

    @property
    def lifecycle(self) -> read_pb2.Lifecycle:
        return self.experiment.lifecycle

    @property
    def artifact_location(self) -> str:
        return self.experiment.artifact_location


@dataclass(slots=True)
class Catalog:
    """Every experiment, by id and by name."""

    entries: dict[str, Entry] = field(default_factory=dict)
    ids_by_name: dict[str, str] = field(default_factory=dict)
    last_id: int = 0
    weight: int = 0

    def apply(self, event: Message, envelope: envelope_pb2.Envelope, position: int) -> None:
        match event:
            case experiment_pb2.ExperimentCreated():
                experiment = experiment_pb2.Experiment(
                    experiment_id=event.experiment_id,
                    name=event.name,
                    artifact_location=event.artifact_location,
                    created_ms=event.created_ms,
                    updated_ms=event.created_ms,
                    tags=event.tags,
                )
                self.entries[event.experiment_id] = Entry(experiment, creator=envelope.origin.writer)
                self.ids_by_name[event.name] = event.experiment_id
                self.last_id = max(self.last_id, int(event.experiment_id))
                self.weight += 500 + event.ByteSize()
            case experiment_pb2.ExperimentRenamed():
                experiment = self.entries[event.experiment_id].experiment
                del self.ids_by_name[experiment.name]
                self.ids_by_name[event.name] = event.experiment_id
                experiment.name = event.name
                experiment.updated_ms = event.updated_ms
            case experiment_pb2.ExperimentDeleted():
                self._move(event, read_pb2.LIFECYCLE_DELETED, envelope, position)
            case experiment_pb2.ExperimentRestored():
                self._move(event, read_pb2.LIFECYCLE_ACTIVE, envelope, position)
            case _:
                pass

    def _move(
        self,
        event: experiment_pb2.ExperimentDeleted | experiment_pb2.ExperimentRestored,
        lifecycle: read_pb2.Lifecycle,
        envelope: envelope_pb2.Envelope,
        position: int,
    ) -> None:
        entry = self.entries[event.experiment_id]
        entry.experiment.lifecycle = lifecycle
        entry.experiment.updated_ms = event.updated_ms
        entry.lifecycle_position = position
        entry.mover = envelope.origin.writer

    def by_name(self, name: str) -> Entry | None:
        id = self.ids_by_name.get(name)
        return None if id is None else self.entries[id]


@dataclass(slots=True)
class Tags:
    """What an experiment's own subject changed of the tags it was created with; None: deleted."""

    changed: dict[str, str | None] = field(default_factory=dict)
    weight: int = 200

    def apply(self, event: Message, envelope: envelope_pb2.Envelope, position: int) -> None:
        match event:
            case experiment_pb2.ExperimentTagsSet():
                self.changed.update((tag.key, tag.value) for tag in event.tags)
            case experiment_pb2.ExperimentTagsDeleted():
                self.changed.update(dict.fromkeys(event.keys))
            case _:
                return
        self.weight += event.ByteSize()

    def over(self, created_with: Iterable[read_pb2.Tag]) -> list[read_pb2.Tag]:
        """The tags as they are now, sorted by key."""
        merged = {tag.key: tag.value for tag in created_with} | self.changed
        return [
            read_pb2.Tag(key=key, value=value) for key, value in sorted(merged.items()) if value is not None
        ]


def create(
    catalog: Catalog,
    *,
    name: str,
    artifact_location: str,
    tags: Mapping[str, str],
    root: str,
    now_ms: int,
    origin: Origin | None = None,
) -> experiment_pb2.ExperimentCreated | None:
    """root: URI under which an experiment without a location of its own gets one.

    Nothing when the origin's writer created it before.
    """
    entry = catalog.by_name(name)
    if entry is not None:
        if origin is not None and origin.writer == entry.creator:
            return None
        raise AlreadyExists(f"Experiment(name={name}) already exists.", field="name")
    return _created(str(catalog.last_id + 1), name, artifact_location, tags, root, now_ms)


def ensure(
    catalog: Catalog, *, name: str, artifact_location: str, tags: Mapping[str, str], root: str, now_ms: int
) -> experiment_pb2.ExperimentCreated | None:
    """Nothing when there is an active experiment of this name."""
    entry = catalog.by_name(name)
    if entry is None:
        return _created(str(catalog.last_id + 1), name, artifact_location, tags, root, now_ms)
    if entry.lifecycle == read_pb2.LIFECYCLE_DELETED:
        raise FailedPrecondition(
            f"The experiment '{name}' (id {entry.experiment_id}) must be in the 'active' state. "
            "Current state is deleted. Restore it, or choose another name.",
            field="name",
        )
    return None


def create_default(catalog: Catalog, *, root: str, now_ms: int) -> experiment_pb2.ExperimentCreated | None:
    """Experiment "0", which is there from the start."""
    if DEFAULT_ID in catalog.entries or DEFAULT_NAME in catalog.ids_by_name:
        return None
    return _created(DEFAULT_ID, DEFAULT_NAME, "", {}, root, now_ms)


def _created(
    id: str, name: str, artifact_location: str, tags: Mapping[str, str], root: str, now_ms: int
) -> experiment_pb2.ExperimentCreated:
    return experiment_pb2.ExperimentCreated(
        experiment_id=id,
        name=name,
        artifact_location=artifact_location or f"{root.rstrip('/')}/{id}",
        created_ms=now_ms,
        tags=[read_pb2.Tag(key=key, value=value) for key, value in tags.items()],
    )


def rename(catalog: Catalog, id: str, name: str, *, now_ms: int) -> experiment_pb2.ExperimentRenamed | None:
    experiment = find(catalog, id).experiment
    if experiment.lifecycle == read_pb2.LIFECYCLE_DELETED:
        raise FailedPrecondition("Cannot rename a non-active experiment.", field="experiment_id")
    if experiment.name == name:
        return None
    if catalog.by_name(name) is not None:
        raise AlreadyExists(f"Experiment(name={name}) already exists.", field="name")
    return experiment_pb2.ExperimentRenamed(experiment_id=id, name=name, updated_ms=now_ms)


def delete(
    catalog: Catalog, id: str, *, now_ms: int, origin: Origin | None = None
) -> experiment_pb2.ExperimentDeleted | None:
    """Nothing when the origin's writer deleted it before."""
    entry = find(catalog, id)
    if entry.lifecycle == read_pb2.LIFECYCLE_DELETED:
        if origin is not None and origin.writer == entry.mover:
            return None
        raise NotFound(f"No Experiment with id={id} exists: it is deleted already", field="experiment_id")
    return experiment_pb2.ExperimentDeleted(experiment_id=id, updated_ms=now_ms)


def restore(
    catalog: Catalog, id: str, *, now_ms: int, origin: Origin | None = None
) -> experiment_pb2.ExperimentRestored | None:
    """Nothing when the origin's writer restored it before."""
    entry = find(catalog, id)
    if entry.lifecycle == read_pb2.LIFECYCLE_ACTIVE:
        if origin is not None and origin.writer == entry.mover:
            return None
        raise NotFound(f"No deleted Experiment with id={id} exists: it is active", field="experiment_id")
    return experiment_pb2.ExperimentRestored(experiment_id=id, updated_ms=now_ms)


def set_tags(entry: Entry, tags: Mapping[str, str]) -> experiment_pb2.ExperimentTagsSet | None:
    """entry: from `find_active`."""
    if not tags:
        return None
    return experiment_pb2.ExperimentTagsSet(
        experiment_id=entry.experiment_id,
        tags=[read_pb2.Tag(key=key, value=value) for key, value in tags.items()],
    )


def delete_tags(entry: Entry, own: Tags, keys: Iterable[str]) -> experiment_pb2.ExperimentTagsDeleted | None:
    """entry: from `find_active`. Keys that are not set are passed over."""
    present = {tag.key for tag in own.over(entry.experiment.tags)}
    found = [key for key in dict.fromkeys(keys) if key in present]
    if not found:
        return None
    return experiment_pb2.ExperimentTagsDeleted(experiment_id=entry.experiment_id, keys=found)


def find(catalog: Catalog, id: str) -> Entry:
    entry = catalog.entries.get(id)
    if entry is None:
        raise NotFound(f"No Experiment with id={id} exists", field="experiment_id")
    return entry


def find_active(catalog: Catalog, id: str) -> Entry:
    entry = find(catalog, id)
    if entry.lifecycle == read_pb2.LIFECYCLE_DELETED:
        raise FailedPrecondition(
            f"The experiment {id} must be in the 'active' state. Current state is deleted.",
            field="experiment_id",
        )
    return entry
