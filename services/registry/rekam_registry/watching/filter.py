"""Which models a watcher is told of."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_proto.registry.v1 import history_pb2, watch_pb2
from rekam_registry import rules
from rekam_runtime.errors import Invalid

_MOST_NAMES = 1_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Models with one of the names, and those whose names begin with the prefix; without both, all."""

    names: frozenset[str]
    prefix: str

    @classmethod
    def of(cls, request: watch_pb2.WatchRequest) -> Filter:
        if len(request.names) > _MOST_NAMES:
            raise Invalid(f"at most {_MOST_NAMES:,} names, got {len(request.names):,}", field="names")
        for index, name in enumerate(request.names):
            rules.name(name, f"names[{index}]")
        rules.text(request.name_prefix, rules.MAX_NAME, "name_prefix", "a prefix")
        return cls(frozenset(request.names), request.name_prefix)

    @property
    def everything(self) -> bool:
        return not self.names and not self.prefix

    def tells(self, change: history_pb2.Change) -> bool:
        """A change of a model that has such a name, or had it until now."""
        if self.everything or self._has(change.name):
            return True
        return change.WhichOneof("event") == "model_renamed" and self._has(change.model_renamed.old_name)

    def _has(self, name: str) -> bool:
        return name in self.names or (bool(self.prefix) and name.startswith(self.prefix))
