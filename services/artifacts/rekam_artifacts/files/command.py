"""What becomes of a put: the files around it and the bytes that are stored in, refusals out. Pure.

The projection asks in the log's order, and that is what holds. A command asks before, of what is projected
by then, so that what cannot be is refused without an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rekam_artifacts import paths
from rekam_proto.artifacts.v1.artifact_pb2 import FilesPut


@dataclass(frozen=True, slots=True)
class Stored:
    """Where bytes are."""

    object_key: str
    size: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a put is refused. number: of the file in it."""

    number: int
    field: str
    reason: str


@dataclass(slots=True)
class Surroundings:
    """As much as matters to some puts, and what these make of it.

    files, folders: paths of those that are there.
    stored: by digest. owners: the digest that an object is known to have.
    taken: objects that were taken away.
    brought: bytes that came with the puts. spare: objects that did, and are not needed.
    """

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    stored: dict[bytes, Stored] = field(default_factory=dict)
    owners: dict[str, bytes] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    brought: dict[bytes, Stored] = field(default_factory=dict)
    spare: list[str] = field(default_factory=list)

    def put(self, event: FilesPut) -> list[Refusal]:
        """Take the files in, all or, when one of them is refused, none."""
        barred = self.barred([file.path for file in event.files])
        refusals = [*barred, *self._without_bytes(event)]
        if refusals:
            return refusals
        for file in event.files:
            self.files.add(file.path)
            self.folders.update(paths.folders_above(file.path))
            key = file.object_key
            if file.digest not in self.stored:
                self.stored[file.digest] = self.brought[file.digest] = Stored(key, file.size)
                self.owners[key] = file.digest
            elif key and key not in self.owners and key not in self.taken:
                self.taken.add(key)
                self.spare.append(key)
        return []

    def barred(self, wanted: Sequence[str]) -> Iterator[Refusal]:
        """Those of the paths where no file can be."""
        within = set(wanted)
        folders = {folder for path in within for folder in paths.folders_above(path)}
        for number, path in enumerate(wanted):
            if path in self.folders or path in folders:
                yield Refusal(number, "path", f"{path!r} is a folder: no file can be put there")
                continue
            for folder in paths.folders_above(path):
                if folder in self.files or folder in within:
                    yield Refusal(number, "path", f"{folder!r} is a file: {path!r} cannot be in it")
                    break

    def _without_bytes(self, event: FilesPut) -> Iterator[Refusal]:
        stored: dict[bytes, Stored] = {}
        said: dict[str, bytes] = {}
        for number, file in enumerate(event.files):
            digest, key = file.digest, file.object_key
            there = self.stored.get(digest) or stored.get(digest)
            if key and said.setdefault(key, self.owners.get(key, digest)) != digest:
                yield Refusal(number, "object_key", f"{key} has other bytes")
            elif there is not None:
                if there.size != file.size:
                    yield Refusal(number, "size", f"{digest.hex()} has {there.size} bytes, not {file.size}")
            elif not key:
                yield Refusal(number, "digest", f"the bytes of {digest.hex()} are not stored: upload them")
            elif key in self.taken:
                yield Refusal(number, "object_key", f"{key} was given up meanwhile: upload it again")
            else:
                stored[digest] = Stored(key, file.size)
