"""Files, and the bytes that come with them: events to rows."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_artifacts import objects, paths
from rekam_artifacts.files.command import Refusal, Surroundings
from rekam_artifacts.files.surroundings import around
from rekam_proto.artifacts.v1.artifact_pb2 import FilesDeleted, FilesPut
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_artifacts.files", "projection.sql")


async def put(
    connection: Connection, puts: Sequence[FilesPut], positions: Sequence[int], times_us: Sequence[int]
) -> list[FilesPut]:
    """Puts that follow each other in the log, written together; answers those that were not refused."""
    found = await around(connection, puts)
    folders_before = set(found.surroundings.folders)
    taken_in: list[FilesPut] = []
    refusals: list[tuple[int, Refusal]] = []
    # By path, the last of each.
    files: dict[str, tuple[FilesPut.File, int]] = {}
    for event, position, time_us in zip(puts, positions, times_us, strict=True):
        if refused := found.surroundings.put(event):
            refusals += [(position, refusal) for refusal in refused]
        else:
            taken_in.append(event)
            files.update((file.path, (file, time_us)) for file in event.files)
    await _write_refusals(connection, refusals)
    await _write_folders(connection, found.surroundings.folders - folders_before)
    await _write_files(connection, files)
    await _write_objects(connection, found.surroundings, times_us[-1])
    touched = {file.digest for event in taken_in for file in event.files}
    replaced = {digest for path, digest in found.digests.items() if path in files}
    await objects.refer(connection, touched | replaced, times_us[-1])
    return taken_in


async def _write_refusals(connection: Connection, refusals: Sequence[tuple[int, Refusal]]) -> None:
    if refusals:
        await connection.execute(
            _statements.refuse,
            [position for position, _ in refusals],
            [refusal.number for _, refusal in refusals],
            [refusal.field for _, refusal in refusals],
            [refusal.reason for _, refusal in refusals],
        )


async def _write_folders(connection: Connection, folders: set[str]) -> None:
    if folders:
        places = [paths.split(path) for path in folders]
        await connection.execute(
            _statements.put_folders, [folder for folder, _ in places], [name for _, name in places]
        )


async def _write_files(connection: Connection, files: dict[str, tuple[FilesPut.File, int]]) -> None:
    if files:
        places = [paths.split(path) for path in files]
        await connection.execute(
            _statements.put_files,
            [folder for folder, _ in places],
            [name for _, name in places],
            [file.digest for file, _ in files.values()],
            [file.media_type for file, _ in files.values()],
            [paths.owner_of(path) for path in files],
            [time_us for _, time_us in files.values()],
        )


async def _write_objects(connection: Connection, surroundings: Surroundings, time_us: int) -> None:
    brought = surroundings.brought
    await objects.add_blobs(
        connection, {digest: (one.object_key, one.size) for digest, one in brought.items()}, time_us
    )
    await objects.take(connection, surroundings.spare)


async def delete(connection: Connection, event: FilesDeleted, time_us: int) -> None:
    folder, name = paths.split(event.path)
    gone = [row["digest"] for row in await connection.fetch(_statements.delete_file, folder, name)]
    if event.recursive:
        rows = await connection.fetch(_statements.delete_below, *paths.below(f"{event.path}/"))
        gone += [row["digest"] for row in rows if row["digest"] is not None]
    # The folder itself, and those above it that have become empty.
    for path in (event.path, *paths.folders_above(event.path)):
        deleted = await connection.fetchval(_statements.delete_folder, *paths.split(path), f"{path}/")
        if deleted is None and path != event.path:
            break
    await objects.refer(connection, set(gone), time_us)
