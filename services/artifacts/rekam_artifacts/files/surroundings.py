"""What is around puts, as it is projected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rekam_artifacts import paths
from rekam_artifacts.files.command import Stored, Surroundings
from rekam_proto.artifacts.v1.artifact_pb2 import FilesPut
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_artifacts.files", "surroundings.sql")


@dataclass(frozen=True, slots=True)
class Found:
    """digests: of the files that are there, by path."""

    surroundings: Surroundings
    digests: dict[str, bytes] = field(default_factory=dict)


async def around(connection: Connection, puts: Sequence[FilesPut]) -> Found:
    """Whatever these puts could meet with."""
    files = [file for put in puts for file in put.files]
    named = {file.path for file in files}
    named.update([folder for path in named for folder in paths.folders_above(path)])
    keys = list({file.object_key for file in files if file.object_key})
    digests = list({file.digest for file in files})
    places = [paths.split(path) for path in named]
    entries = await connection.fetch(
        _statements.entries, [folder for folder, _ in places], [name for _, name in places]
    )
    blobs = await connection.fetch(_statements.blobs, digests, keys)
    taken = await connection.fetch(_statements.taken, keys) if keys else []
    return Found(
        Surroundings(
            files={row["path"] for row in entries if not row["is_folder"]},
            folders={row["path"] for row in entries if row["is_folder"]},
            stored={row["digest"]: Stored(row["object_key"], row["size"]) for row in blobs},
            owners={row["object_key"]: row["digest"] for row in blobs},
            taken={row["object_key"] for row in taken},
        ),
        {row["path"]: row["digest"] for row in entries if not row["is_folder"]},
    )
