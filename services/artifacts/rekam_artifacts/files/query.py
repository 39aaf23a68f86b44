"""Queries of files and of the bytes that are stored."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_artifacts import paths, tokens
from rekam_artifacts.files.command import Refusal
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.artifacts.v1.artifact_pb2 import Entry, File, Folder
from rekam_runtime.errors import FailedPrecondition, NotFound
from rekam_runtime.postgres import Connection, Row, Statements

_statements = Statements.load("rekam_artifacts.files", "query.sql")


async def is_folder(connection: Connection, path: str) -> bool | None:
    """None when there is nothing at the path."""
    row = await connection.fetchrow(_statements.entry, *paths.split(path))
    return None if row is None else row["digest"] is None


async def get_file(connection: Connection, path: str, field: str = "path") -> File:
    row = await connection.fetchrow(_statements.entry, *paths.split(path))
    if row is None:
        raise NotFound(f"there is no artifact {path!r}", field=field)
    if row["digest"] is None:
        raise FailedPrecondition(f"{path!r} is a folder", field=field)
    return _file(path, row)


async def get_files(connection: Connection, wanted: Sequence[str]) -> dict[str, File]:
    """Those that are there, by path."""
    places = [paths.split(path) for path in wanted]
    rows = await connection.fetch(
        _statements.entries, [folder for folder, _ in places], [name for _, name in places]
    )
    files = [_file(row["folder"] + row["name"], row) for row in rows]
    return {file.path: file for file in files}


async def list_files(
    connection: Connection, request: artifact_pb2.ListFilesRequest, page_size: int
) -> artifact_pb2.ListFilesResponse:
    folder = f"{request.path}/" if request.path else ""
    if request.recursive:
        after = tokens.decode(request, request.page_token, 2) if request.page_token else ("", "")
        rows = await connection.fetch(_statements.below, *paths.below(folder), *after, page_size + 1)
    else:
        (name,) = tokens.decode(request, request.page_token, 1) if request.page_token else ("",)
        rows = await connection.fetch(_statements.inside, folder, name, page_size + 1)
    response = artifact_pb2.ListFilesResponse(entries=[_entry(row) for row in rows[:page_size]])
    if len(rows) > page_size:
        last = rows[page_size - 1]
        place = (last["folder"], last["name"]) if request.recursive else (last["name"],)
        response.next_page_token = tokens.encode(request, *place)
    return response


async def find_blobs(connection: Connection, digests: Sequence[bytes]) -> list[artifact_pb2.Blob]:
    rows = await connection.fetch(_statements.blobs, digests)
    return [artifact_pb2.Blob(digest=row["digest"].hex(), size=row["size"]) for row in rows]


async def refusal_of(connection: Connection, position: int) -> Refusal | None:
    """Why the put at this position of the log was refused, if it was."""
    row = await connection.fetchrow(_statements.refusals, position)
    return None if row is None else Refusal(row["number"], row["field"], row["reason"])


def _entry(row: Row) -> Entry:
    path = row["folder"] + row["name"]
    if row["digest"] is None:
        return Entry(folder=Folder(path=path))
    return Entry(file=_file(path, row))


def _file(path: str, row: Row) -> File:
    return File(
        path=path,
        digest=row["digest"].hex(),
        size=row["size"],
        media_type=row["media_type"],
        object_key=row["object_key"],
        updated_ms=row["updated_us"] // 1000,
    )
