"""Files as decided by the log: put and deleted."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_artifacts.files import query
from rekam_artifacts.files.command import Refusal
from rekam_artifacts.files.surroundings import around
from rekam_artifacts.journal import Journal
from rekam_artifacts.reads import Reads
from rekam_artifacts.requests import Context
from rekam_proto.artifacts.v1.artifact_pb2 import File, FilesDeleted, FilesPut
from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.envelope import Cause

_STRONG = read_pb2.CONSISTENCY_STRONG
_EVENTUAL = read_pb2.CONSISTENCY_EVENTUAL


class Files:
    """Carries commands out."""

    def __init__(self, journal: Journal, reads: Reads) -> None:
        self._journal = journal
        self._reads = reads

    async def put(self, event: FilesPut, cause: Cause, context: Context) -> list[File]:
        """List the files; they are answered in the event's order, as they are listed."""
        await self.check(event, context)
        aggregate = event.files[0].path if len(event.files) == 1 else ""
        async with self._journal.written(event, aggregate, cause, context) as (connection, position):
            if refusal := await query.refusal_of(connection, position):
                raise _refused(refusal, event)
            listed = await query.get_files(connection, [file.path for file in event.files])
        # One may be deleted again by now: then it is as it was put.
        return [listed.get(file.path, _as_put(file)) for file in event.files]

    async def check(self, event: FilesPut, context: Context) -> None:
        """Refuse a put that cannot be. What is projected now may lag: only a strong read refuses."""
        for consistency in (_EVENTUAL, _STRONG):
            async with self._reads.connection(consistency, context) as connection:
                found = await around(connection, [event])
            refusals = found.surroundings.put(event)
            if not refusals:
                return
        raise _refused(refusals[0], event)

    async def check_path(self, path: str, context: Context) -> None:
        """Refuse a path where no file can be put."""
        async with self._reads.connection(_STRONG, context) as connection:
            found = await around(connection, [FilesPut(files=[FilesPut.File(path=path)])])
        for refusal in found.surroundings.barred([path]):
            raise FailedPrecondition(refusal.reason, field="path")

    async def delete(self, path: str, cause: Cause, context: Context, *, recursive: bool) -> None:
        async with self._reads.connection(_STRONG, context) as connection:
            is_folder = await query.is_folder(connection, path)
        if is_folder is None:
            return
        if is_folder and not recursive:
            raise FailedPrecondition(f"{path!r} is a folder: it is deleted with `recursive`", field="path")
        event = FilesDeleted(path=path, recursive=recursive)
        await self._journal.write(event, path, cause, context)


def put_event(files: Sequence[File], upload_id: str = "") -> FilesPut:
    """files: checked."""
    return FilesPut(
        files=[
            FilesPut.File(
                path=file.path,
                digest=bytes.fromhex(file.digest),
                size=file.size,
                media_type=file.media_type,
                object_key=file.object_key,
            )
            for file in files
        ],
        upload_id=upload_id,
    )


def _as_put(file: FilesPut.File) -> File:
    return File(
        path=file.path,
        digest=file.digest.hex(),
        size=file.size,
        media_type=file.media_type,
        object_key=file.object_key,
    )


def _refused(refusal: Refusal, event: FilesPut) -> FailedPrecondition:
    # The file of an upload is not in the request that completes it.
    within = "" if event.upload_id else f"files[{refusal.number}]."
    return FailedPrecondition(refusal.reason, field=within + refusal.field)
