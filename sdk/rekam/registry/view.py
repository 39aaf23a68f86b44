"""What the registry has, as of one position of its log. One thread changes it, any may read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rekam.errors import Invalid, NotFound
from rekam.registered import ModelVersion
from rekam.registry.folding import Followed, created, folded
from rekam.registry.uris import ModelUri
from rekam_proto.registry.v1 import history_pb2


@dataclass(frozen=True, slots=True)
class Filter:
    """Models with one of the names, and those whose names begin with the prefix; without both, all."""

    names: frozenset[str]
    prefix: str

    def has(self, name: str) -> bool:
        """Whether a model of this name is followed."""
        if not self.names and not self.prefix:
            return True
        return name in self.names or (bool(self.prefix) and name.startswith(self.prefix))


class View:
    """Models by name. Each is replaced as a whole when it changes."""

    def __init__(self, filter: Filter, models: Iterable[Followed], position: int) -> None:
        self._filter = filter
        self._by_id = {each.model.registered_model_id: each for each in models}
        self._by_name = {each.model.name: each for each in self._by_id.values()}
        # Everything up to here is in it; the last change of it was there.
        self.position = self.changed = position

    def find(self, uri: ModelUri) -> ModelVersion:
        """The version that is meant; raises NotFound, and Invalid for a model that is not followed."""
        return self.model(uri.name).find(uri)

    def model(self, name: str) -> Followed:
        """A model; raises as `find` does."""
        found = self._by_name.get(name)
        if found is not None:
            return found
        if not self._filter.has(name):
            raise Invalid(f"the model {name!r} is not followed here", field="name")
        raise NotFound(f"Registered Model with name={name} not found", field="name")

    def models(self) -> list[Followed]:
        """All of them, by name."""
        return [each for _, each in sorted(self._by_name.copy().items())]

    def lacks(self, change: history_pb2.Change) -> bool:
        """Whether the change is of a model that has got a name that is followed, and is not known."""
        begins_or_ends = change.WhichOneof("event") in ("model_created", "model_deleted")
        return not begins_or_ends and change.model_id not in self._by_id and self._filter.has(change.name)

    def add(self, followed: Followed) -> None:
        """Take in a model that is known from elsewhere."""
        before = self._by_id.get(followed.model.registered_model_id)
        self._by_id[followed.model.registered_model_id] = followed
        # First what is new: who asks in between finds one of both.
        self._by_name[followed.model.name] = followed
        if before is not None and before.model.name != followed.model.name:
            self._free(before)

    def take(self, change: history_pb2.Change) -> None:
        """Take a change in."""
        event = change.WhichOneof("event")
        before = self._by_id.get(change.model_id)
        if before is None:
            if event == "model_created":
                self.add(created(change))
        elif change.position > before.as_of:
            after = None if event == "model_deleted" else folded(before, change)
            if after is not None and self._filter.has(after.model.name):
                self.add(after)
            else:
                del self._by_id[change.model_id]
                self._free(before)

    def _free(self, followed: Followed) -> None:
        """Its name is another one's by now, or nobody's."""
        now = self._by_name.get(followed.model.name)
        if now is not None and now.model.registered_model_id == followed.model.registered_model_id:
            del self._by_name[followed.model.name]
