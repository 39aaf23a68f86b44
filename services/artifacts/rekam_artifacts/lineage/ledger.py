"""Uses of files by runs, noted in the log."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_artifacts.journal import Journal
from rekam_artifacts.requests import Context
from rekam_proto.artifacts.v1.artifact_pb2 import File, FilesUsed
from rekam_runtime.eventlog.envelope import Cause


async def record_use(
    journal: Journal, run_id: str, files: Sequence[File], cause: Cause, context: Context
) -> None:
    """files: as they are now."""
    event = FilesUsed(
        run_id=run_id,
        files=[FilesUsed.File(path=file.path, digest=bytes.fromhex(file.digest)) for file in files],
    )
    await journal.write(event, f"run/{run_id}", cause, context)
