"""A view on disk, so that a program may start while the registry is down."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rekam.registered import ModelVersion, Protection, RegisteredModel, VersionReference
from rekam.registry.folding import Followed
from rekam.registry.view import Filter, View

log = logging.getLogger("rekam")

_FORMAT = 1


class KeptView:
    """One file, which holds a view of one server by one filter."""

    def __init__(self, path: Path, target: str, filter: Filter) -> None:
        self._path = path
        self._target = target
        self._filter = filter
        # Position of the last change of what is on disk; -1: nothing that is of use.
        self._changed = -1

    def load(self) -> tuple[View, float] | None:
        """The view and when the registry was heard of last; None when there is none, or it is of no use."""
        try:
            kept = json.loads(self._path.read_bytes())
            if kept["of"] != self._of():
                log.warning("%s is a view of something else: %s; it is replaced", self._path, kept["of"])
                return None
            models = [_followed(each) for each in kept["models"]]
            view, heard = View(self._filter, models, int(kept["position"])), float(kept["heard"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError) as error:
            log.warning("%s is no view of the registry, it is replaced: %r", self._path, error)
            return None
        self._changed = view.changed
        return view, heard

    def is_behind(self, changed: int) -> bool:
        """Whether what is on disk is not what was changed last at this position."""
        return changed != self._changed

    def save(self, models: Iterable[Followed], position: int, changed: int, heard: float) -> None:
        """Replace what is on disk."""
        kept = {
            "of": self._of(),
            "position": position,
            "heard": heard,
            "models": [
                {
                    "model": dataclasses.asdict(each.model),
                    "versions": [dataclasses.asdict(version) for version in each.versions.values()],
                }
                for each in models
            ],
        }
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            with part.open("w") as stream:
                json.dump(kept, stream)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self._path)
        except OSError as error:
            log.warning("the view of the registry is not kept in %s: %s", self._path, error)
            part.unlink(missing_ok=True)
        # A disk that is full is not tried again and again, but with the next change.
        self._changed = changed

    def _of(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "server": self._target,
            "names": sorted(self._filter.names),
            "prefix": self._filter.prefix,
        }


def _followed(kept: dict[str, Any]) -> Followed:
    model = dict(kept["model"])
    model["protection"] = Protection(**{key: tuple(value) for key, value in model["protection"].items()})
    model["latest_versions"] = ()
    versions = [_version(each) for each in kept["versions"]]
    return Followed.read(RegisteredModel(**model), {version.version: version for version in versions})


def _version(kept: dict[str, Any]) -> ModelVersion:
    copied = kept["copied_from"]
    return ModelVersion(
        **kept | {"aliases": tuple(kept["aliases"]), "copied_from": copied and VersionReference(**copied)}
    )
