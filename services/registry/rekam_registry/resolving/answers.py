"""Answers that are still true: what a uri meant, kept until its model changes."""

from __future__ import annotations

from collections import OrderedDict

from rekam_proto.registry.v1 import history_pb2, version_pb2
from rekam_registry.uris import ModelUri

# Models of which answers are kept, and of which it is known when they changed last.
MOST_MODELS = 20_000
# Of one model.
MOST_URIS = 100


class Answers:
    """A listener of the tail: a change of a model takes the answers of its names away."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, dict[ModelUri, version_pb2.ModelVersion]] = OrderedDict()
        self._changed: OrderedDict[str, int] = OrderedDict()
        # Of names that are not in `_changed` nothing after this position is known to have changed.
        self._floor = 0

    def take(self, change: history_pb2.Change) -> None:
        self._forget(change.name, change.position)
        if change.WhichOneof("event") == "model_renamed":
            self._forget(change.model_renamed.old_name, change.position)

    def begin(self, position: int) -> None:
        self._kept.clear()
        self._changed.clear()
        self._floor = position

    def get(self, uri: ModelUri) -> version_pb2.ModelVersion | None:
        """True up to where the tail is."""
        of_name = self._kept.get(uri.name)
        return None if of_name is None else of_name.get(uri)

    def keep(self, uri: ModelUri, version: version_pb2.ModelVersion, position: int) -> None:
        """What was true at a position of the log, unless the model is known to have changed since."""
        if self._changed.get(uri.name, self._floor) > position:
            return
        of_name = self._kept.setdefault(uri.name, {})
        self._kept.move_to_end(uri.name)
        if len(of_name) >= MOST_URIS:
            of_name.clear()
        of_name[uri] = version
        if len(self._kept) > MOST_MODELS:
            self._kept.popitem(last=False)

    def _forget(self, name: str, position: int) -> None:
        self._kept.pop(name, None)
        self._changed[name] = position
        self._changed.move_to_end(name)
        if len(self._changed) > MOST_MODELS:
            _, dropped = self._changed.popitem(last=False)
            self._floor = max(self._floor, dropped)
